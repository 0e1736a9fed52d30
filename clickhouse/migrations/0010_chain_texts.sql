-- Signatures and signers of every EVM chain as 0x-hex: a chain is one unless it is Solana, or not set.

ALTER TABLE raw_swaps_rows
    MODIFY COLUMN signature String ALIAS if(chain IN ('solana', 'unspecified'), base58Encode(signature_raw), concat('0x', lower(hex(signature_raw)))),
    MODIFY COLUMN signer String ALIAS if(chain IN ('solana', 'unspecified'), base58Encode(signer_raw), concat('0x', lower(hex(signer_raw))));

ALTER TABLE dex_pools
    MODIFY COLUMN signature String ALIAS if(chain IN ('solana', 'unspecified'), base58Encode(signature_raw), concat('0x', lower(hex(signature_raw)))),
    MODIFY COLUMN signer String ALIAS if(chain IN ('solana', 'unspecified'), base58Encode(signer_raw), concat('0x', lower(hex(signer_raw))));

ALTER TABLE transaction_labels
    MODIFY COLUMN signature String ALIAS if(chain IN ('solana', 'unspecified'), base58Encode(signature_raw), concat('0x', lower(hex(signature_raw)))),
    MODIFY COLUMN signer String ALIAS if(chain IN ('solana', 'unspecified'), base58Encode(signer_raw), concat('0x', lower(hex(signer_raw))));
