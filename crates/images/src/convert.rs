//! Pixels as they are decoded become planes of grey or of red, green and blue.

/// Splits pixels of `from` bytes each (grey, grey and alpha, RGB, RGBA) into `channels` planes, one after the other in
/// `out`. Alpha is dropped; grey is Pillow's, 0.299 R + 0.587 G + 0.114 B in whole numbers.
pub fn to_planes(pixels: &[u8], from: usize, channels: usize, out: &mut [u8]) {
    let plane = out.len() / channels;
    for (c, plane) in out.chunks_exact_mut(plane).enumerate() {
        let of: fn(&[u8], usize) -> u8 = match (from > 2, channels) {
            (true, 1) => |rgb, _| luma(rgb),
            (true, _) => |rgb, c| rgb[c],
            (false, _) => |grey, _| grey[0],
        };
        plane.iter_mut().zip(pixels.chunks_exact(from)).for_each(|(out, pixel)| *out = of(pixel, c));
    }
}

/// ITU-R 601-2 with 16 bits of fraction, rounded.
fn luma(rgb: &[u8]) -> u8 {
    let weighted = [19595, 38470, 7471].iter().zip(rgb).map(|(weight, &x)| weight * u32::from(x)).sum::<u32>();
    ((weighted + 0x8000) >> 16) as u8
}
