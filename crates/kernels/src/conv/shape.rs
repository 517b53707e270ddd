//! The shapes of a convolution, and the checks of them.

use crate::error::{KernelError, Result, expect_shape, expect_that};

pub(super) const OP: &str = "conv2d";
/// Limits for a padded channel, in elements and as a multiple of its input and output. The padding is copied, so
/// without limits a call could take far more memory than it reads and writes.
const MAX_PADDED: usize = 1 << 20;
const MAX_TIMES: usize = 16;

/// How a kernel moves over its input; lengths are those of the two axes, rows first.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The distance from one output to the next.
    pub stride: [usize; 2],
    /// Zeros before and after each axis.
    pub padding: [usize; 2],
    /// The distance from one tap of the kernel to the next.
    pub dilation: [usize; 2],
}

/// The shapes of x[images, channels, height, width] and weight[outputs, channels / groups, kernel height, kernel
/// width].
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Of x.
    pub x: [usize; 4],
    /// Of the weight.
    pub weight: [usize; 4],
    /// How the kernel moves.
    pub window: Window,
    /// How many groups the channels are split into; each output reads the channels of one group.
    pub groups: usize,
}

impl Shape {
    /// Takes the shapes of x and weight, and seven numbers: stride, padding and dilation, rows first, then the groups.
    pub fn of(x: &[usize], weight: &[usize], numbers: &[usize]) -> Result<Self> {
        let refuse = |what, got: &[usize], length| KernelError::Shape {
            op: OP,
            what,
            got: got.to_vec(),
            expected: vec![length],
        };
        let [sy, sx, py, px, dy, dx, groups] =
            *<&[usize; 7]>::try_from(numbers).map_err(|_| refuse("window", numbers, 7))?;
        let x: [usize; 4] = x.try_into().map_err(|_| refuse("x", x, 4))?;
        let weight: [usize; 4] = weight.try_into().map_err(|_| refuse("weight", weight, 4))?;
        // If a stride is longer than the padded input, there is one output. A shorter one gives the same output and
        // keeps the kernels' memory, which grows with the stride, small.
        let step = |stride: usize, padding: usize, length: usize| {
            stride.min(padding.saturating_mul(2).saturating_add(length).max(1))
        };
        let stride = [step(sy, py, x[2]), step(sx, px, x[3])];
        let window = Window { stride, padding: [py, px], dilation: [dy, dx] };
        Ok(Self { x, weight, window, groups })
    }

    /// The shape of the output[images, outputs, height, width]; an error if the shapes do not fit each other.
    pub fn output(&self) -> Result<[usize; 4]> {
        let Self { x, weight, window, groups } = *self;
        expect_that(groups > 0, OP, "groups", 0.0, "at least 1")?;
        expect_that(x[1] > 0, OP, "channels", 0.0, "at least 1")?;
        expect_shape(OP, "weight", &weight, &[weight[0], x[1] / groups, weight[2], weight[3]])?;
        expect_shape(OP, "channels", &[x[1] % groups, weight[0] % groups], &[0, 0])?;
        let mut out = [x[0], weight[0], 0, 0];
        let mut padded = 1usize;
        for axis in 0..2 {
            let Window { stride, padding, dilation } = window;
            let (length, taps) = (x[axis + 2], weight[axis + 2]);
            expect_that(stride[axis] > 0, OP, "stride", 0.0, "at least 1")?;
            expect_that(dilation[axis] > 0, OP, "dilation", 0.0, "at least 1")?;
            expect_that(taps > 0, OP, "kernel", 0.0, "at least 1 row and 1 column")?;
            let whole = padding[axis].checked_mul(2).and_then(|padding| padding.checked_add(length));
            let reach = (taps - 1).checked_mul(dilation[axis]).and_then(|reach| reach.checked_add(1));
            let (whole, reach) = (whole.unwrap_or(usize::MAX), reach.unwrap_or(usize::MAX));
            padded = padded.saturating_mul(whole);
            if whole < reach {
                return Err(KernelError::Shape { op: OP, what: "kernel", got: vec![reach], expected: vec![whole] });
            }
            out[axis + 2] = (whole - reach) / stride[axis] + 1;
        }
        let own = (x[2].saturating_mul(x[3])).saturating_add(out[2].saturating_mul(out[3]));
        let most = own.saturating_mul(MAX_TIMES).max(MAX_PADDED);
        let expected = "at most 2^20 elements in a padded channel, or 16 times those of its input and output";
        expect_that(padded <= most, OP, "padding", padded as f64, expected)?;
        Ok(out)
    }

    /// Whether the convolution is depthwise: every group has one channel.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.weight[1] == 1
    }

    /// The number of taps of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.weight[2] * self.weight[3]
    }
}
