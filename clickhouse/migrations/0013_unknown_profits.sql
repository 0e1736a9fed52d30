-- What a bid brought is not known where it expired, never took effect, or was measured by somebody who does not say: NULL.
-- Rows from before hold 0 there.

ALTER TABLE outcomes MODIFY COLUMN realized_profit Nullable(Int128);
