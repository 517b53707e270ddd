//! How long the chains are that a sum over k is made of.

/// The longest chain.
pub(super) const LONGEST: usize = 384;

/// The length of the chains of a product whose sums run over `k`: one chain where that is short enough, two halves where
/// two suffice, else as many of the longest as there are. So MKL sums, which multiplies for PyTorch on x86: on one
/// thread its products and ours are the same bits.
pub(super) fn length(k: usize) -> usize {
    match k {
        0..=LONGEST => k.max(1),
        k if k <= 2 * LONGEST => k.div_ceil(2),
        _ => LONGEST,
    }
}
