//! Convolutions as matrix products whose right operand, the matrix of patches, is never stored (implicit GEMM). A task
//! copies some images, or some rows of one, with their padding. It reads patches in that copy or packs panels from it.
//!
//! ```text
//!   weight              patches of a task           outputs of a task
//!   K = channels, taps     NR    NR
//!   +-----------+        +-----+-----+               +-----+-----+
//!   |           |  x   K |     |     |       =     M |     |     |
//! M |           |        |     |     |               |     |     |
//!   +-----------+        +-----+-----+               +-----+-----+
//! ```

use super::conv_elements::Elements;
use super::conv_task::{Convolution, EDGE, Part, Target, Task};
use super::epilogue::Epilogue;
use super::mat::MatRef;
use super::pack;
use super::params::{LINE, TASKS_PER_THREAD, nr, threads_for};
use super::patches::{Images, Layout, Window};
use super::winograd::{self, Kernel, TransformedWeight, Winograd};
use crate::parallel;
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut4};
use pulp::{Arch, Simd, WithSimd};

/// The most elements of a task's copy: half of a 1 MiB L2. A copy is larger only if one row of outputs reads more.
const COPY_ELEMS: usize = 1 << 17;

/// A task with several images may waste at most one in so many columns on filling up its last vector.
const COLUMNS_PER_UNUSED: usize = 32;
/// If an image has fewer panels than this, a task takes several images.
const SMALL_PANELS: usize = 16;
/// The least tasks per thread, if there are enough images and rows.
const TASKS_PER_THREAD_MIN: usize = 2;

/// The weight of a convolution.
#[derive(Clone, Copy)]
pub(super) enum Weight<'a> {
    /// a[m, channels * taps], one for each part of the outputs.
    Parts(Elements, &'a [ArrayView2<'a, f32>]),
    /// Transformed for Winograd's tiles. The outputs then have one part.
    Transformed(&'a TransformedWeight),
}

/// out[n, m, y, x] = epilogue(sum over channels c and taps t of a[m, c * taps + t] x[n, c, what t reads for (y, x)]).
/// Each part of the outputs has an `a` and taps of its own. An addend has the shape and order of `out`, which then has
/// one part.
///
/// The rows of x, and of out, are adjacent elements.
pub(super) fn convolve(
    weight: Weight,
    x: ArrayView4<f32>,
    window: &Window,
    epilogue: Epilogue,
    addend: Option<ArrayView4<f32>>,
    mut out: ArrayViewMut4<f32>,
) {
    let ((images, rows, height, width), parts, channels) = (out.dim(), window.taps.len(), x.dim().1);
    assert!(addend.is_none_or(|addend| parts == 1 && (addend.dim(), addend.strides()) == (out.dim(), out.strides())));
    match weight {
        Weight::Parts(_, a) => {
            assert!(
                a.len() == parts
                    && a.iter().zip(&window.taps).all(|(a, taps)| a.dim() == (rows, channels * taps.len()))
            );
        }
        Weight::Transformed(weight) => assert!(weight.fits(window, [rows, channels])),
    }
    assert_eq!((images, [height, width.div_ceil(parts)]), (x.dim().0, window.grid));
    if out.is_empty() {
        return;
    }
    let target = Target::of(&mut out, addend.map(|addend| addend.as_ptr()));
    let source = Images::new(&x);
    let winograd =
        |kernel, weight| Winograd { kernel, weight, rows, source, images, grid: window.grid, epilogue, target };
    match weight {
        Weight::Transformed(TransformedWeight { kernel, u, .. }) => {
            winograd(*kernel, winograd::Weight::Transformed(u)).run()
        }
        Weight::Parts(elements, a) => match (elements, Kernel::of(window, channels, rows)) {
            (Elements::Numbers, Some(kernel)) => winograd(kernel, winograd::Weight::Taps(a[0])).run(),
            _ => Arch::new().dispatch(Convolution { elements, a, source, images, rows, window, epilogue, target }),
        },
    }
}

/// The gradient of the input by Winograd's tiles; a[channels, outputs * taps].
pub(super) fn convolve_back(kernel: Kernel, a: ArrayView2<f32>, grad: ArrayView4<f32>, mut out: ArrayViewMut4<f32>) {
    let (images, rows, height, width) = out.dim();
    assert_eq!((grad.dim().0, a.dim()), (images, (rows, 9 * grad.dim().1)));
    if out.is_empty() {
        return;
    }
    let target = Target::of(&mut out, None);
    let (source, weight) = (Images::new(&grad), winograd::Weight::Taps(a));
    let epilogue = Epilogue::default();
    Winograd { kernel, weight, rows, source, images, grid: [height, width], epilogue, target }.run();
}

impl Target {
    fn of(out: &mut ArrayViewMut4<f32>, addend: Option<*const f32>) -> Self {
        let width = out.dim().3;
        assert!(width == 1 || out.strides()[3] == 1);
        let [image, row, y] = [0, 1, 2].map(|axis| out.strides()[axis] as usize);
        Self { data: out.as_mut_ptr(), addend, image, row, y, width }
    }
}

impl Images {
    pub(super) fn new(x: &ArrayView4<f32>) -> Self {
        let ((_, channels, height, width), strides) = (x.dim(), x.strides());
        assert!(x.is_empty() || (width <= 1 || strides[3] == 1) && (height <= 1 || strides[2] == width as isize));
        Self { data: x.as_ptr(), image: strides[0] as usize, plane: strides[1] as usize, channels, height, width }
    }
}

/// How the outputs are divided into tasks.
struct Tasks {
    /// How many images a task has. If more than one, they are whole images.
    images: usize,
    /// How many rows of outputs a task has.
    rows: usize,
    /// How many tasks share an image.
    bands: usize,
    count: usize,
}

impl WithSimd for Convolution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let k: usize = self.a.iter().map(|a| a.ncols()).sum();
        let threads = threads_for(self.images * self.window.grid[0] * self.window.grid[1] * self.rows * k);
        let tasks = self.tasks::<S>(threads);
        let layout = self.window.layout(&self.source, tasks.rows);
        let parts = self.parts::<S>(&layout);
        // The outputs that fill up the last vector read up to a vector beyond the copy. They are never stored.
        let room = layout.len(tasks.images) + LINE;
        let edges = parts.len() * EDGE;
        let panels: usize = parts.iter().map(|part| part.panel * nr::<S>()).sum();
        parallel::for_each_chunk(0..tasks.count, threads.saturating_mul(TASKS_PER_THREAD), |chunk| {
            pack::with_buffer(room + edges + panels, |copy| {
                // Parts without taps are zeros.
                // SAFETY: the buffer is longer.
                unsafe { std::slice::from_raw_parts_mut(copy, room + edges) }.fill(0.0);
                self.elements.with_registers(|| {
                    for task in chunk {
                        let (group, band) = (task / tasks.bands, task % tasks.bands);
                        let images = group * tasks.images..self.images.min((group + 1) * tasks.images);
                        let rows = band * tasks.rows..self.window.grid[0].min((band + 1) * tasks.rows);
                        let edges_at = copy.wrapping_add(room);
                        simd.vectorize(Task {
                            call: &self,
                            layout: &layout,
                            parts: &parts,
                            images,
                            rows,
                            copy,
                            edges: edges_at,
                            packed: edges_at.wrapping_add(edges),
                        });
                    }
                });
            });
        });
    }
}

impl Convolution<'_> {
    fn parts<S: Simd>(&self, layout: &Layout) -> Vec<Part> {
        let mut before = 0;
        let part = |(a, taps): (&ArrayView2<f32>, &Vec<[isize; 2]>)| {
            let taps: Vec<usize> = taps.iter().map(|&tap| layout.offset(&self.source, tap)).collect();
            let channels = 0..self.source.channels;
            let offsets: Vec<usize> =
                channels.flat_map(|c| taps.iter().map(move |tap| c * layout.plane + tap)).collect();
            let side = self.elements.side();
            let packed_rows = match self.elements {
                Elements::Pairs(_) if side == 1 => (0..offsets.len()).map(|row| row * nr::<S>()).collect(),
                _ => Vec::new(),
            };
            let a = MatRef { ptr: a.as_ptr(), rs: a.strides()[0], cs: a.strides()[1] };
            let part = Part { a, packed_rows, panel: offsets.len().next_multiple_of(side), before, offsets };
            before += part.panel;
            part
        };
        self.a.iter().zip(&self.window.taps).map(part).collect()
    }

    fn tasks<S: Simd>(&self, threads: usize) -> Tasks {
        let [height, width] = self.window.grid;
        let whole = self.window.layout(&self.source, height);
        let share = if threads == 1 { self.images } else { self.images.div_ceil(TASKS_PER_THREAD_MIN * threads) };
        // Small images are taken together, so that vectors are full: at least two panels.
        let most = (2 * COPY_ELEMS / whole.len(1).max(1)).clamp(1, share);
        let are_full = |images: &usize| {
            let columns = images * height * width;
            let unused = columns.next_multiple_of(LINE) - columns;
            columns >= 2 * nr::<S>() && COLUMNS_PER_UNUSED * unused <= columns
        };
        let images =
            if height * width < SMALL_PANELS * nr::<S>() { (1..=most).find(are_full).unwrap_or(most) } else { 1 };
        let groups = self.images.div_ceil(images);
        let for_threads = if threads == 1 { 1 } else { (TASKS_PER_THREAD_MIN * threads).div_ceil(groups) };
        let bands = if images > 1 { 1 } else { whole.len(1).div_ceil(COPY_ELEMS).max(for_threads).min(height) };
        let rows = height.div_ceil(bands);
        // As many rows as fill whole vectors, unless that leaves too few tasks for the threads.
        let together = (1..=LINE).find(|rows| (rows * width).is_multiple_of(LINE)).unwrap_or(LINE);
        let full = rows.next_multiple_of(together).min(height);
        let rows = if height.div_ceil(full) < for_threads.min(bands) { rows } else { full };
        let bands = height.div_ceil(rows);
        Tasks { images, rows, bands, count: groups * bands }
    }
}
