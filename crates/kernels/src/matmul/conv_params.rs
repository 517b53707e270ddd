/// How a kernel moves over its input, per axis: from one output to the next, the padding before, from one tap to the
/// next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConvParams {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

impl ConvParams {
    /// The rows and columns that some outputs, at least one, read.
    pub fn extent(&self, outputs: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| (outputs[axis] - 1) * self.stride[axis] + (kernel[axis] - 1) * self.dilation[axis] + 1)
    }
}
