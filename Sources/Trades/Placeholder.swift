// Trades
