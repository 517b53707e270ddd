/// Stride, padding and dilation of a convolution, rows first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConvParams {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

impl ConvParams {
    /// How many rows and columns of the padded source this many outputs read. There must be at least one output.
    pub fn extent(&self, outputs: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| (outputs[axis] - 1) * self.stride[axis] + (kernel[axis] - 1) * self.dilation[axis] + 1)
    }
}
