"""Texts of chain bytes in the tables: base58 on Solana, 0x-hex on every EVM chain, named or not."""

import base58
import pytest


@pytest.mark.parametrize("table", ["raw_swaps_rows", "dex_pools", "transaction_labels"])
def test_signatures_read_as_their_chain_writes_them(clickhouse_client, clickhouse_database, table):
    where = f"{clickhouse_database}.{table}"
    for slot, chain in enumerate(("solana", "ethereum", "base", "evm-59144")):
        clickhouse_client.command(
            f"INSERT INTO {where} (timestamp, chain, slot, _signature, _signer) "
            f"VALUES (now(), '{chain}', {slot}, 'ab', 'c')"
        )
    found = clickhouse_client.command(
        f"SELECT arrayStringConcat(groupArray(s), ' ') FROM (SELECT signature || '/' || signer AS s FROM {where} "
        "ORDER BY slot)"
    )
    solana = "/".join(base58.b58encode(raw).decode() for raw in (b"ab", b"c"))
    assert found == " ".join([solana, *["0x6162/0x63"] * 3])
