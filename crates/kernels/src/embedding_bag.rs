//! Sums or means of the rows of a table that ids name, a bag of them for each sample:
//! `torch.nn.functional.embedding_bag`.
//!
//! Ids come as floats, as all inputs of a network do. A negative one means the row of its magnitude, subtracted: so
//! signed feature hashing (Weinberger et al., 2009) needs no second array. Bags that are not `signed` refuse it.

use crate::error::{Result, expect_shape, expect_that};
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "embeddingBag";

/// The ids of bags of one length, and how their rows become one.
#[derive(Clone, Copy)]
pub struct Bags<'a> {
    /// [bags, length].
    pub ids: ArrayView2<'a, f32>,
    /// [bags, length]: what each row is multiplied by.
    pub weights: Option<&'a [f32]>,
    /// The id that stands for nothing: it is left out, also of a mean's count.
    pub padding: Option<usize>,
    /// Whether the sum is divided by the number of ids.
    pub mean: bool,
    /// Whether a negative id is the row of its magnitude, subtracted.
    pub signed: bool,
}

impl Bags<'_> {
    fn check(&self, rows: usize) -> Result<()> {
        if let Some(weights) = self.weights {
            expect_shape(OP, "weights", &[weights.len()], &[self.ids.len()])?;
        }
        let is_row = |&&value: &&f32| {
            let row = if self.signed { value.abs() } else { value };
            row >= 0.0 && row.fract() == 0.0 && (row as usize) < rows
        };
        match self.ids.iter().find(|value| !is_row(value)) {
            Some(&id) => expect_that(false, OP, "id", f64::from(id), "a whole number below the table's number of rows"),
            None => Ok(()),
        }
    }

    /// Calls `each` with the bag, the place, the row and the factor of every id, which were checked.
    fn visit(&self, mut each: impl FnMut(usize, usize, usize, f32)) {
        let length = self.ids.ncols();
        for (bag, ids) in self.ids.rows().into_iter().enumerate() {
            let factor = if self.mean { 1.0 / self.count(bag) } else { 1.0 };
            for (i, &value) in ids.iter().enumerate() {
                let (row, sign) = (value.abs() as usize, if value < 0.0 { -1.0 } else { 1.0 });
                if Some(row) != self.padding {
                    let place = bag * length + i;
                    each(bag, place, row, sign * factor * self.weights.map_or(1.0, |weights| weights[place]));
                }
            }
        }
    }

    /// The number of ids of a bag, at least 1.
    fn count(&self, bag: usize) -> f32 {
        let is_padding = |&&value: &&f32| self.padding.is_some_and(|padding| value.abs() == padding as f32);
        let row = self.ids.row(bag);
        (row.len() - row.iter().filter(is_padding).count()).max(1) as f32
    }
}

/// out[bag] = the sum over its ids of table[id], times the id's weight.
pub fn forward(table: ArrayView2<f32>, bags: Bags, mut out: ArrayViewMut2<f32>) -> Result<()> {
    bags.check(table.nrows())?;
    expect_shape(OP, "out", out.shape(), &[bags.ids.nrows(), table.ncols()])?;
    out.fill(0.0);
    // The mean is divided at the end, as PyTorch does.
    Bags { mean: false, ..bags }.visit(|bag, _, row, factor| {
        for (out, &x) in out.row_mut(bag).iter_mut().zip(table.row(row)) {
            *out += factor * x;
        }
    });
    if bags.mean {
        for (bag, mut row) in out.rows_mut().into_iter().enumerate() {
            let count = bags.count(bag);
            row.mapv_inplace(|x| x / count);
        }
    }
    Ok(())
}

/// The rows that the ids name, each once, ascending, at the start of `out`; gives their number.
pub fn distinct(bags: Bags, rows: usize, out: &mut [i32]) -> Result<usize> {
    bags.check(rows)?;
    let mut found = Vec::with_capacity(bags.ids.len());
    bags.visit(|_, _, row, _| found.push(row as i32));
    found.sort_unstable();
    found.dedup();
    expect_that(found.len() <= out.len(), OP, "out", out.len() as f64, "room for every id")?;
    out[..found.len()].copy_from_slice(&found);
    Ok(found.len())
}

/// into[row] = the sum of grad[bag] over the ids that name it: of all `rows` of the table, or of the ascending `named`
/// ones alone.
pub fn backward(
    grad: ArrayView2<f32>,
    bags: Bags,
    rows: usize,
    named: Option<&[i32]>,
    mut into: ArrayViewMut2<f32>,
) -> Result<()> {
    bags.check(rows)?;
    expect_shape(OP, "grad", grad.shape(), &[bags.ids.nrows(), into.ncols()])?;
    expect_shape(OP, "into", &[into.nrows()], &[named.map_or(rows, <[i32]>::len)])?;
    let place = |row: usize| named.map_or(Some(row), |named| named.binary_search(&(row as i32)).ok());
    let mut unnamed = None;
    bags.visit(|_, _, row, _| unnamed = unnamed.or(place(row).is_none().then_some(row)));
    expect_that(unnamed.is_none(), OP, "rows", unnamed.unwrap_or_default() as f64, "every row that an id names")?;
    into.fill(0.0);
    bags.visit(|bag, _, row, factor| {
        let Some(place) = place(row) else { return };
        for (into, &x) in into.row_mut(place).iter_mut().zip(grad.row(bag)) {
            *into += factor * x;
        }
    });
    Ok(())
}

/// into[bag, i] = grad[bag] . table[id]: the gradient of the weights; 0 for padding.
pub fn weights_backward(grad: ArrayView2<f32>, table: ArrayView2<f32>, bags: Bags, into: &mut [f32]) -> Result<()> {
    bags.check(table.nrows())?;
    expect_shape(OP, "grad", grad.shape(), &[bags.ids.nrows(), table.ncols()])?;
    expect_shape(OP, "into", &[into.len()], &[bags.ids.len()])?;
    into.fill(0.0);
    Bags { weights: None, ..bags }.visit(|bag, place, row, factor| {
        let product: f32 = grad.row(bag).iter().zip(table.row(row)).map(|(g, x)| g * x).sum();
        into[place] = factor * product;
    });
    Ok(())
}
