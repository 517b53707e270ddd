use crate::borrow::{F32, F32Mut, Memory, U8};
use crate::error::{Result, kernel_error};
use crate::linear::precision;
use distillery_kernels::attention;
use distillery_kernels::dropout::Mask;
use napi_derive::napi;
use ndarray::{ArrayView4, ArrayView5, ArrayViewMut4, ArrayViewMut5, Axis};

/// From [batch, length, heads, width] to [batch, heads, length, width].
const HEADS_FIRST: [usize; 4] = [0, 2, 1, 3];

/// What both functions read: q is [batch, queries, heads width], k [batch, keys, heads width], v [batch, keys, heads
/// valueWidth]; if packed, all three are one array [batch, queries, 3 heads width]. keyBias is [batch, keys], bias
/// [queries, keys] or [batch, heads, queries, keys], as mask is, which keeps weights with the probability 1 - p; all
/// three may be null. The operands of products are rounded to bfloat16 if bfloat16
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct Attention {
    pub q: F32,
    pub k: F32,
    pub v: F32,
    pub packed: bool,
    pub key_bias: Option<F32>,
    pub bias: Option<F32>,
    pub mask: Option<U8>,
    pub p: f64,
    pub batch: u32,
    pub heads: u32,
    pub queries: u32,
    pub keys: u32,
    pub width: u32,
    pub value_width: u32,
    pub scale: f64,
    pub bfloat16: bool,
}

impl Attention {
    /// The shape of what has so many rows of so many values a head.
    fn shape(&self, rows: u32, width: u32) -> [u32; 4] {
        [self.batch, rows, self.heads, width]
    }

    /// The shapes of q, k and v.
    fn shapes(&self) -> [[u32; 4]; 3] {
        let Self { queries, keys, width, value_width, .. } = *self;
        [self.shape(queries, width), self.shape(keys, width), self.shape(keys, value_width)]
    }

    fn out_shape(&self) -> [u32; 4] {
        self.shape(self.queries, self.value_width)
    }

    fn packed_shape(&self) -> [u32; 5] {
        [self.batch, self.queries, 3, self.heads, self.width]
    }

    fn borrow<'a>(&'a self, memory: &mut Memory) -> Result<attention::Attention<'a>> {
        let [q, k, v] = if self.packed {
            let all: ArrayView5<f32> = memory.view("q", &self.q, self.packed_shape())?;
            [0, 1, 2].map(|part| all.index_axis_move(Axis(2), part))
        } else {
            let [q, k, v] = self.shapes();
            [memory.view("q", &self.q, q)?, memory.view("k", &self.k, k)?, memory.view("v", &self.v, v)?]
        };
        let [q, k, v] = [q, k, v].map(|x: ArrayView4<f32>| x.permuted_axes(HEADS_FIRST));
        let keep = memory.read_some(&self.mask)?;
        Ok(attention::Attention {
            precision: precision(self.bfloat16),
            q,
            k,
            v,
            scale: self.scale as f32,
            key_bias: memory.read_some(&self.key_bias)?,
            bias: memory.read_some(&self.bias)?,
            dropout: keep.map(|keep| Mask { keep, p: self.p }),
        })
    }
}

/// What attentionForward reads and writes: out is [batch, queries, heads valueWidth]
#[napi(object, object_to_js = false)]
pub struct AttentionForward {
    pub attention: Attention,
    pub out: F32Mut,
}

/// What attentionBackward reads and writes: the gradients of q, k and v, of which each may be null; if packed, gradQ is
/// that of all three
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct AttentionBackward {
    pub attention: Attention,
    pub grad: F32,
    pub grad_q: Option<F32Mut>,
    pub grad_k: Option<F32Mut>,
    pub grad_v: Option<F32Mut>,
}

/// softmax(q k^T scale + keyBias + bias) v in each head
#[napi(catch_unwind)]
pub fn attention_forward(mut call: AttentionForward) -> Result<()> {
    let mut memory = Memory::new();
    let kernel = call.attention.borrow(&mut memory)?;
    let out: ArrayViewMut4<f32> = memory.view_mut("out", &mut call.out, call.attention.out_shape())?;
    kernel.forward(out.permuted_axes(HEADS_FIRST)).map_err(kernel_error)
}

/// The gradients of attentionForward's q, k and v
#[napi(catch_unwind)]
pub fn attention_backward(mut call: AttentionBackward) -> Result<()> {
    let mut memory = Memory::new();
    let kernel = call.attention.borrow(&mut memory)?;
    let grad: ArrayView4<f32> = memory.view("grad", &call.grad, call.attention.out_shape())?;
    let into = if call.attention.packed {
        let all: Option<ArrayViewMut5<f32>> =
            call.grad_q.as_mut().map(|all| memory.view_mut("gradQ", all, call.attention.packed_shape())).transpose()?;
        all.map_or([None, None, None], |all| thirds(all).map(Some))
    } else {
        let mut view = |what, into: Option<_>, shape| into.map(|into| memory.view_mut(what, into, shape)).transpose();
        let [q, k, v] = call.attention.shapes();
        [
            view("gradQ", call.grad_q.as_mut(), q)?,
            view("gradK", call.grad_k.as_mut(), k)?,
            view("gradV", call.grad_v.as_mut(), v)?,
        ]
    };
    let into = into.map(|into| into.map(|into| into.permuted_axes(HEADS_FIRST)));
    kernel.backward(grad.permuted_axes(HEADS_FIRST), into).map_err(kernel_error)
}

/// The three parts along the axis of length 3.
fn thirds(all: ArrayViewMut5<f32>) -> [ArrayViewMut4<f32>; 3] {
    let (q, rest) = all.split_at(Axis(2), 1);
    let (k, v) = rest.split_at(Axis(2), 1);
    [q, k, v].map(|part| part.index_axis_move(Axis(2), 0))
}
