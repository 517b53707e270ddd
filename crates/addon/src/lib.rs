//! The Node binding. Each exported function borrows its arrays, checks that none overlaps another that is written,
//! calls one kernel and maps its error. There is no arithmetic here, and no option has a default.
//!
//! Matrices come as flat arrays with their dimensions; a length that does not fit its dimensions is refused.

#![allow(missing_docs, reason = "the exported functions are documented where the library calls them")]
#![allow(clippy::too_many_arguments, reason = "a flat call costs less than an object, whose properties are looked up")]

mod attention;
mod augment;
mod batch_norm;
mod borrow;
mod conv;
mod data;
mod dropout;
mod elementwise;
mod embedding_bag;
mod error;
mod graph;
mod huge_pages;
mod images;
mod indexing;
mod layer_norm;
mod linear;
mod list;
mod lock;
mod losses;
mod matmul;
mod optim;
mod pool;
mod random;
mod reduce;
mod signals;
mod softmax;
mod standardize;
mod threads;
