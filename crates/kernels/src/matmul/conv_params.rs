/// How a kernel moves over its input, per axis: from one output to the next, the padding before, from one tap to the
/// next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConvParams {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}
