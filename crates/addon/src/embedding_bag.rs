use crate::borrow::{F32, F32Mut, I32, I32Mut, Memory, expect_len};
use crate::error::{Result, kernel_error};
use distillery_kernels::embedding_bag::{self, Bags};
use napi_derive::napi;

/// Bags of ids [bags, length] into a table [rows, dim]; padding -1: no id stands for nothing; signed: a negative id
/// subtracts its row
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BagsOfIds {
    pub ids: F32,
    pub weights: Option<F32>,
    pub bags: u32,
    pub length: u32,
    pub rows: u32,
    pub dim: u32,
    pub padding: i32,
    pub mean: bool,
    pub signed: bool,
}

impl BagsOfIds {
    fn bags<'a>(&'a self, memory: &mut Memory) -> Result<Bags<'a>> {
        Ok(Bags {
            ids: memory.view("ids", &self.ids, [self.bags, self.length])?,
            weights: memory.read_some(&self.weights)?,
            padding: usize::try_from(self.padding).ok(),
            mean: self.mean,
            signed: self.signed,
        })
    }
}

/// What embeddingBagForward reads and writes
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct EmbeddingBagCall {
    pub bags: BagsOfIds,
    pub table: F32,
    pub out: F32Mut,
}

/// out[bags, dim] = the sums or means of the rows of the table that the ids name
#[napi(catch_unwind)]
pub fn embedding_bag_forward(mut call: EmbeddingBagCall) -> Result<()> {
    let mut memory = Memory::new();
    let bags = call.bags.bags(&mut memory)?;
    let table = memory.view("table", &call.table, [call.bags.rows, call.bags.dim])?;
    let out = memory.view_mut("out", &mut call.out, [call.bags.bags, call.bags.dim])?;
    embedding_bag::forward(table, bags, out).map_err(kernel_error)
}

/// What embeddingBagRows reads and writes
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct EmbeddingBagRowsCall {
    pub bags: BagsOfIds,
    pub out: I32Mut,
}

/// Writes the rows that the ids name, each once, ascending; gives their number
#[napi(catch_unwind)]
pub fn embedding_bag_rows(mut call: EmbeddingBagRowsCall) -> Result<u32> {
    let mut memory = Memory::new();
    let bags = call.bags.bags(&mut memory)?;
    let out = memory.write(&mut call.out)?;
    expect_len("out", out.len(), &[call.bags.bags, call.bags.length])?;
    let found = embedding_bag::distinct(bags, call.bags.rows as usize, out);
    found.map(|count| count as u32).map_err(kernel_error)
}

/// What embeddingBagBackward reads and writes: the gradients that are not null
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct EmbeddingBagBackwardCall {
    pub bags: BagsOfIds,
    pub grad: F32,
    pub table: F32,
    pub named: Option<I32>,
    pub grad_table: Option<F32Mut>,
    pub grad_weights: Option<F32Mut>,
}

/// The gradients of the table, of all its rows or, if they are given, of the named ones alone, and of the weights
/// [bags, length]
#[napi(catch_unwind)]
pub fn embedding_bag_backward(mut call: EmbeddingBagBackwardCall) -> Result<()> {
    let mut memory = Memory::new();
    let bags = call.bags.bags(&mut memory)?;
    let BagsOfIds { bags: count, rows, dim, .. } = call.bags;
    let grad = memory.view("grad", &call.grad, [count, dim])?;
    let table = memory.view("table", &call.table, [rows, dim])?;
    let named = memory.read_some(&call.named)?;
    // All are borrowed before one is written.
    let shape = [named.map_or(rows, |named| named.len() as u32), dim];
    let into_table = call.grad_table.as_mut().map(|into| memory.view_mut("gradTable", into, shape)).transpose()?;
    let into_weights = memory.write_some(&mut call.grad_weights)?;
    if let Some(into) = &into_weights {
        expect_len("gradWeights", into.len(), &[count, call.bags.length])?;
    }
    if let Some(into) = into_table {
        embedding_bag::backward(grad, bags, rows as usize, named, into).map_err(kernel_error)?;
    }
    match into_weights {
        Some(into) => embedding_bag::weights_backward(grad, table, bags, into).map_err(kernel_error),
        None => Ok(()),
    }
}
