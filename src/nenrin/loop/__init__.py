"""The loop: refresh, rollout, watch, roll-back, backtest. It alone acts; the other rooms answer."""
