//! Conversion of single precision to bfloat16, as `vcvtneps2bf16` does it, and back.

/// Rounds to the nearest bfloat16, ties to even, as the upper 16 bits of a number in single precision. NaN stays NaN,
/// numbers below 2^-126 (denormals) become zeros of their sign, and numbers beyond the largest one become infinite.
#[inline]
pub fn to_bits(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    if bits & 0x7f80_0000 == 0 {
        return (bits >> 16) as u16 & 0x8000;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The number that has these bits.
#[inline]
pub fn from_bits(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
