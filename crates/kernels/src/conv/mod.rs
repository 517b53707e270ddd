//! Convolution of images, `torch.nn.functional.conv2d`, and its gradients.
//!
//! Images are [images, channels, height, width]. The products are those of `matmul`: no matrix of patches is ever in
//! memory.

mod depthwise;
mod shape;

use crate::error::{Result, expect_shape, expect_that};
use crate::matmul::{self, Bias, ConvParams, Precision};
pub use crate::matmul::{RowNorm, TransformedWeight};
use crate::parallel;
use crate::plane_sums;
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut4, Axis, Slice, s};
use shape::OP;
pub use shape::{Shape, Window};

/// The least elements of a weight that a task transposes.
const TRANSPOSED: usize = 1 << 14;
/// Channels that are transposed together: with a 1x1 kernel, what they read is one cache line.
const CHANNELS: usize = 16;

/// What a convolution reads.
#[derive(Clone, Copy)]
pub struct Operands<'a> {
    /// x[images, channels, height, width].
    pub x: &'a [f32],
    /// weight[outputs, channels / groups, kernel height, kernel width].
    pub weight: Weight<'a>,
    /// bias[outputs].
    pub bias: Option<&'a [f32]>,
    /// Whether each image must get the bits that it gets in a batch of its own. If not, the number of images may decide
    /// how they are computed: for many small ones Winograd's tiles pay off.
    pub alone: bool,
}

/// The weight of a convolution, and how it is multiplied.
#[derive(Clone, Copy)]
pub enum Weight<'a> {
    /// The weight as it is, multiplied in this precision. A depthwise convolution always uses single precision.
    Taps(&'a [f32], Precision),
    /// The result of `transform`.
    Transformed(&'a TransformedWeight),
}

/// Transforms a weight once for many convolutions of this shape. `None` if the shape is not computed by Winograd's
/// tiles.
pub fn transform(shape: &Shape, weight: &[f32]) -> Result<Option<TransformedWeight>> {
    let out_shape = shape.output()?;
    expect_shape(OP, "weight", &[weight.len()], &[shape.weight.iter().product()])?;
    if shape.groups > 1 || weight.is_empty() {
        return Ok(None);
    }
    Ok(TransformedWeight::new(matrix(weight, shape.weight[0]), &window(shape, out_shape, 1)))
}

/// What is applied to a convolution's outputs before they are written, in the order of the fields.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// A normalisation of each output channel.
    pub norm: Option<RowNorm<'a>>,
    /// Added to the output; of its shape.
    pub addend: Option<&'a [f32]>,
    /// Whether ReLU follows.
    pub relu: bool,
}

impl Epilogue<'_> {
    fn is_none(&self) -> bool {
        self.norm.is_none() && self.addend.is_none() && !self.relu
    }
}

/// out = epilogue(convolution of x with the weight + bias)
pub fn forward(shape: &Shape, operands: Operands, epilogue: Epilogue, out: &mut [f32]) -> Result<()> {
    let out_shape = shape.output()?;
    let Operands { x, weight, bias, alone } = operands;
    expect_shape(OP, "x", &[x.len()], &[shape.x.iter().product()])?;
    expect_shape(OP, "out", &[out.len()], &[out_shape.iter().product()])?;
    if let Some(bias) = bias {
        expect_shape(OP, "bias", &[bias.len()], &[shape.weight[0]])?;
    }
    let Epilogue { norm, addend, relu } = epilogue;
    for array in norm.iter().flat_map(RowNorm::arrays) {
        expect_shape(OP, "norm", &[array.len()], &[shape.weight[0]])?;
    }
    if let Some(addend) = addend {
        expect_shape(OP, "addend", &[addend.len()], &[out.len()])?;
    }
    let (x, window) = (view(shape.x, x), window(shape, out_shape, if alone { 1 } else { shape.x[0] }));
    let addend_view = addend.map(|addend| view(out_shape, addend));
    let (weight, precision) = match weight {
        Weight::Taps(weight, precision) => (weight, precision),
        Weight::Transformed(weight) => {
            let [outputs, channels, ..] = shape.weight;
            let fits = shape.groups == 1 && weight.fits(&window, [outputs, channels]);
            expect_that(fits, OP, "weight", f64::NAN, "one that was transformed for this shape")?;
            let epilogue = matmul::Epilogue { bias: bias.map_or(Bias::None, Bias::Rows), norm, relu };
            matmul::convolve_transformed(weight, x, &window, epilogue, addend_view, view_mut(out_shape, out));
            return Ok(());
        }
    };
    expect_shape(OP, "weight", &[weight.len()], &[shape.weight.iter().product()])?;
    if out.is_empty() {
        return Ok(());
    }
    if shape.is_depthwise() {
        depthwise::forward(shape, out_shape, [operands.x, weight], bias, epilogue, out);
        return Ok(());
    }
    let outputs = shape.weight[0] / shape.groups;
    let mut out = view_mut(out_shape, out);
    for (group, x) in groups(shape, &x) {
        let rows = group * outputs..(group + 1) * outputs;
        let size = weight.len() / shape.groups;
        let weight = matrix(&weight[group * size..][..size], outputs);
        let bias = bias.map_or(Bias::None, |bias| Bias::Rows(&bias[rows.clone()]));
        let epilogue = matmul::Epilogue { bias, norm: norm.map(|norm| norm.rows(rows.clone())), relu };
        let addend = addend_view.as_ref().map(|addend| addend.slice_axis(Axis(1), Slice::from(rows.clone())));
        let out = out.slice_axis_mut(Axis(1), Slice::from(rows));
        matmul::convolve(precision, &[weight], x, &window, epilogue, addend, out);
    }
    Ok(())
}

/// What the outputs read. `together` is the number of images that may decide how they are computed, 1 for none.
fn window(shape: &Shape, [.., height, width]: [usize; 4], together: usize) -> matmul::Window {
    let place =
        |axis: usize, tap: usize| (tap * shape.window.dilation[axis]) as isize - shape.window.padding[axis] as isize;
    matmul::Window { grid: [height, width], step: shape.window.stride, taps: vec![taps(shape, place)], together }
}

/// Where to write the gradients; `None` for one that is not needed.
#[derive(Default)]
pub struct Gradients<'a> {
    /// Of x.
    pub x: Option<&'a mut [f32]>,
    /// Of the weight.
    pub weight: Option<&'a mut [f32]>,
    /// Of the bias.
    pub bias: Option<&'a mut [f32]>,
}

/// Computes the gradients from `grad`, the gradient of the convolution's output (before norm, sum and ReLU). A
/// depthwise convolution always uses single precision.
pub fn backward(
    precision: Precision,
    shape: &Shape,
    grad: &[f32],
    x: &[f32],
    weight: &[f32],
    into: Gradients,
) -> Result<()> {
    let out_shape = shape.output()?;
    check(shape, x, weight)?;
    expect_shape(OP, "grad", &[grad.len()], &[out_shape.iter().product()])?;
    for (what, array, len) in [
        ("grad_x", &into.x, x.len()),
        ("grad_weight", &into.weight, weight.len()),
        ("grad_bias", &into.bias, shape.weight[0]),
    ] {
        expect_shape(OP, what, &[array.as_ref().map_or(len, |array| array.len())], &[len])?;
    }
    if let Some(grad_bias) = into.bias {
        bias_gradient(out_shape, grad, grad_bias);
    }
    if shape.is_depthwise() {
        depthwise::backward(shape, out_shape, [grad, x, weight], into.x, into.weight);
        return Ok(());
    }
    let grad = view(out_shape, grad);
    if let Some(grad_x) = into.x {
        input_gradient(precision, shape, grad, weight, grad_x);
    }
    if let Some(grad_weight) = into.weight {
        let x = view(shape.x, x);
        let (outputs, size) = (shape.weight[0] / shape.groups, weight.len() / shape.groups);
        let Window { stride, padding, dilation } = shape.window;
        for (group, x) in groups(shape, &x) {
            let rows = group * outputs..(group + 1) * outputs;
            let [_, channels, ky, kx] = shape.weight;
            let grad_weight = view_mut([outputs, channels, ky, kx], &mut grad_weight[group * size..][..size]);
            let grad = grad.slice_axis(Axis(1), Slice::from(rows));
            matmul::weight_gradient(precision, grad, x, ConvParams { stride, padding, dilation }, grad_weight);
        }
    }
    Ok(())
}

/// The gradient of x. If Winograd's tiles pay off, it is computed at once. Otherwise the rows of x are grouped by their
/// remainder modulo the stride, and so are its columns: elements with the same remainders are read by the same taps, so
/// each group is a convolution of the output's gradient with those taps.
fn input_gradient(precision: Precision, shape: &Shape, grad: ArrayView4<f32>, weight: &[f32], grad_x: &mut [f32]) {
    let [images, _, height, width] = shape.x;
    let Window { stride, padding, dilation } = shape.window;
    let [_, per_group, ky, kx] = shape.weight;
    let outputs = shape.weight[0] / shape.groups;
    let mut grad_x = view_mut(shape.x, grad_x);
    let params = ConvParams { stride, padding, dilation };
    let kernel = matmul::Kernel::transposed([ky, kx], params, [outputs, per_group], [images, height, width]);
    if let (Some(kernel), Precision::Float32) = (kernel, precision) {
        for group in 0..shape.groups {
            let of_group = &weight[group * outputs * per_group * 9..];
            let grad = grad.slice_axis(Axis(1), Slice::from(group * outputs..(group + 1) * outputs));
            let into = grad_x.slice_axis_mut(Axis(1), Slice::from(group * per_group..(group + 1) * per_group));
            matmul::with_scratch(per_group * outputs * 9, |transposed| {
                transpose(of_group, [outputs, per_group, 9], 0..9, transposed);
                matmul::convolve_back(kernel, matrix(transposed, per_group), grad, into);
            });
        }
        return;
    }
    // The input at remainder r + q * stride is read by tap t of the output q + (r + padding - t * dilation) / stride.
    let meets = |axis: usize, first: usize, tap: usize| {
        let at = (first + padding[axis]) as isize - (tap * dilation[axis]) as isize;
        (at % stride[axis] as isize == 0).then_some(at / stride[axis] as isize)
    };
    let parts = stride[1].min(width);
    for top in 0..stride[0].min(height) {
        let of_part = |left: usize| -> Vec<(usize, [isize; 2])> {
            let meets = |tap: usize| Some([meets(0, top, tap / kx)?, meets(1, left, tap % kx)?]);
            (0..ky * kx).filter_map(|tap| Some((tap, meets(tap)?))).collect()
        };
        let read: Vec<_> = (0..parts).map(of_part).collect();
        let count: usize = read.iter().map(Vec::len).sum();
        let mut into = grad_x.slice_mut(s![.., .., top..; stride[0], ..]);
        if count == 0 || outputs == 0 {
            into.fill(0.0);
            continue;
        }
        let taps = read.iter().map(|taps| taps.iter().map(|(_, tap)| *tap).collect()).collect();
        let grid = [into.dim().2, width.div_ceil(parts)];
        let window = matmul::Window { grid, step: [1, 1], taps, together: images };
        for group in 0..shape.groups {
            let of_group = &weight[group * outputs * per_group * ky * kx..];
            let grad = grad.slice_axis(Axis(1), Slice::from(group * outputs..(group + 1) * outputs));
            let rows = group * per_group..(group + 1) * per_group;
            let into = into.slice_axis_mut(Axis(1), Slice::from(rows));
            matmul::with_scratch(per_group * outputs * count, |transposed| {
                let (mut rest, mut of_parts) = (transposed, Vec::with_capacity(parts));
                for taps in &read {
                    let (transposed, behind) = rest.split_at_mut(per_group * outputs * taps.len());
                    transpose(of_group, [outputs, per_group, ky * kx], taps.iter().map(|(tap, _)| *tap), transposed);
                    of_parts.push(matrix(transposed, per_group));
                    rest = behind;
                }
                let epilogue = matmul::Epilogue::default();
                matmul::convolve(precision, &of_parts, grad, &window, epilogue, None, into);
            });
        }
    }
}

/// The weight of a group [outputs, channels, taps] as [channels, outputs, some of the taps].
fn transpose(
    weight: &[f32],
    [outputs, channels, taps]: [usize; 3],
    some: impl ExactSizeIterator<Item = usize> + Clone + Sync,
    to: &mut [f32],
) {
    let (count, width) = (some.len(), outputs * some.len());
    if to.is_empty() {
        return;
    }
    parallel::for_each(parallel::Rows(to, width), TRANSPOSED / width + 1, |first, parallel::Rows(to, _)| {
        if taps == 1 {
            return matmul::transpose(&weight[first..outputs * channels], channels, outputs, to);
        }
        for (at, rows) in to.chunks_mut(CHANNELS * width).enumerate() {
            let first = first + at * CHANNELS;
            for o in 0..outputs {
                for (c, row) in (first..).zip(rows.chunks_exact_mut(width)) {
                    let from = &weight[(o * channels + c) * taps..][..taps];
                    let to = &mut row[o * count..][..count];
                    if let (Ok(to), Ok(from)) = (<&mut [f32; 9]>::try_from(&mut *to), <&[f32; 9]>::try_from(from)) {
                        // Of a length that the compiler knows: a call of `memcpy` takes longer than the copy.
                        *to = *from;
                    } else if count == taps {
                        to.copy_from_slice(from);
                    } else {
                        to.iter_mut().zip(some.clone()).for_each(|(to, tap)| *to = from[tap]);
                    }
                }
            }
        }
    });
}

/// The gradient of the bias: the sums over images and places, image by image, in double precision.
fn bias_gradient([images, outputs, height, width]: [usize; 4], grad: &[f32], grad_bias: &mut [f32]) {
    let plane = height * width;
    parallel::for_each(grad_bias, parallel::grain(images * plane), |first, part| {
        for (i, sum) in part.iter_mut().enumerate() {
            let planes = (0..images).map(|n| &grad[(n * outputs + first + i) * plane..][..plane]);
            *sum = planes.map(plane_sums::sum).sum::<f64>() as f32;
        }
    });
}

fn check(shape: &Shape, x: &[f32], weight: &[f32]) -> Result<()> {
    expect_shape(OP, "x", &[x.len()], &[shape.x.iter().product()])?;
    expect_shape(OP, "weight", &[weight.len()], &[shape.weight.iter().product()])
}

/// The places of all taps, row by row.
fn taps(shape: &Shape, place: impl Fn(usize, usize) -> isize) -> Vec<[isize; 2]> {
    let [.., ky, kx] = shape.weight;
    (0..ky).flat_map(|y| (0..kx).map(move |x| (y, x))).map(|(y, x)| [place(0, y), place(1, x)]).collect()
}

/// The channels of each group.
fn groups<'a>(shape: &Shape, x: &'a ArrayView4<'a, f32>) -> impl Iterator<Item = (usize, ArrayView4<'a, f32>)> {
    let channels = shape.weight[1];
    (0..shape.groups).map(move |group| {
        let part = group * channels..(group + 1) * channels;
        (group, x.slice_axis(Axis(1), Slice::from(part)))
    })
}

fn view(shape: [usize; 4], data: &[f32]) -> ArrayView4<'_, f32> {
    ArrayView4::from_shape(shape, data).expect("as long as its shape says")
}

fn view_mut(shape: [usize; 4], data: &mut [f32]) -> ArrayViewMut4<'_, f32> {
    ArrayViewMut4::from_shape(shape, data).expect("as long as its shape says")
}

fn matrix(data: &[f32], rows: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, data.len().checked_div(rows).unwrap_or(0)), data).expect("whole rows")
}
