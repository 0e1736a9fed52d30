-- What an attempt costs is not known where the start token or the chain's own has no price, or nobody set the chain's
-- fee: NULL. Rows from before hold 0 there.

ALTER TABLE mev_opportunities MODIFY COLUMN cost Nullable(UInt128);
