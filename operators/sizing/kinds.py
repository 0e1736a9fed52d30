"""How a pool is priced."""

KIND_NOT_TRADED, KIND_CONCENTRATED_X64, KIND_CONCENTRATED_X96, KIND_CONSTANT_PRODUCT = 0, 1, 2, 3
#: From here on the state is a curve beside the book.
KIND_STABLE, KIND_BINS = 4, 5
