//! The transform of a source's tiles. The source is first transposed to channels last: a vector then has the same place
//! of several channels, whatever the width of the images.

use super::ahead::Lines;
use super::transforms::{Transform, both_axes, load, store};
use crate::matmul::params::LINE;
use crate::matmul::patches::Images;
use pulp::Simd;
use std::ops::Range;

/// The tiles of some images, or of some rows of one image.
#[derive(Clone)]
pub(super) struct Tiles {
    pub images: Range<usize>,
    pub rows: Range<usize>,
    /// The number of tiles in a row.
    pub across: usize,
}

impl Tiles {
    pub fn of_image(&self) -> usize {
        self.rows.len() * self.across
    }

    pub fn len(&self) -> usize {
        self.images.len() * self.of_image()
    }

    /// What `transform` reads of a source. Windows have `window` rows, `step` apart; the first begins with `top` rows
    /// of padding.
    pub fn source(&self, source: &Images, [window, step]: [usize; 2], top: usize) -> Lines {
        let end = (step * self.rows.end + window - step).saturating_sub(top).min(source.height);
        let rows = (step * self.rows.start).saturating_sub(top).min(end)..end;
        let from = source.data.wrapping_add(self.images.start * source.image + rows.start * source.width);
        let size = [self.images.len(), source.channels, rows.len() * source.width];
        Lines::new(from, size, [source.image, source.plane])
    }
}

/// The length of the scratch for a row of tiles with windows of window x window, `step` apart.
pub(super) fn scratch_len([window, step]: [usize; 2], across: usize) -> usize {
    window * (step * across + window - step) * LINE
}

/// Where transformed windows go, as to[element][tile][channel], and the distances between elements and between tiles.
#[derive(Clone, Copy)]
pub(super) struct Transformed {
    pub to: *mut f32,
    pub of_element: usize,
    pub of_tile: usize,
}

/// Transforms the windows of tiles, WINDOW x WINDOW each and `step` apart; the first begins with `padding` rows and
/// columns of zeros. Takes a cache line of channels and a row of tiles at a time, so that the source stays in L1.
///
/// # Safety
/// The images exist; there is room for the result, whose tiles take whole lines, and in the scratch.
#[inline(always)]
pub(super) unsafe fn transform<S: Simd, T: Transform<WINDOW, SIDE>, const WINDOW: usize, const SIDE: usize>(
    simd: S,
    source: Images,
    tiles: &Tiles,
    step: usize,
    [top, left]: [usize; 2],
    scratch: *mut f32,
    result: Transformed,
) {
    let beyond = WINDOW - step;
    let row = (step * tiles.across + beyond) * LINE;
    let columns = source.width.min(step * tiles.across + beyond - left);
    // The columns of the padding stay zero.
    // SAFETY: there is room.
    let lines = unsafe { std::slice::from_raw_parts_mut(scratch, WINDOW * row) };
    lines.fill(0.0);
    for c in (0..source.channels).step_by(LINE) {
        let channels = LINE.min(source.channels - c);
        let some = Images { data: source.data.wrapping_add(c * source.plane), channels, ..source };
        for (i, image) in tiles.images.clone().enumerate() {
            for (j, y) in tiles.rows.clone().enumerate() {
                // The row of tiles above has already transposed these rows.
                let known = if j == 0 { 0 } else { beyond };
                lines.copy_within(step * row..(step + known) * row, 0);
                for y_window in known..WINDOW {
                    let inside = scratch.wrapping_add(y_window * row + left * LINE);
                    match (step * y + y_window).checked_sub(top).filter(|y| *y < source.height) {
                        // SAFETY: the row exists, and lies inside of the scratch.
                        Some(y) => unsafe {
                            some.copy_channels_last::<S>(image, y..y + 1, columns, inside, [row, LINE])
                        },
                        None => lines[y_window * row..(y_window + 1) * row].fill(0.0),
                    }
                }
                for x in 0..tiles.across {
                    let from = scratch.wrapping_add(step * x * LINE).cast_const();
                    let tile = i * tiles.of_image() + j * tiles.across + x;
                    let to = result.to.wrapping_add(tile * result.of_tile + c);
                    for at in (0..LINE).step_by(S::F32_LANES) {
                        // SAFETY: the window lies inside of the scratch, and there is room.
                        unsafe {
                            both_axes!(
                                simd, T, WINDOW => SIDE,
                                |i, j| load::<S>(from.wrapping_add(i * row + j * LINE + at)),
                                |k, l, x| store::<S>(to.wrapping_add((SIDE * k + l) * result.of_element + at), x)
                            );
                        }
                    }
                }
            }
        }
    }
}
