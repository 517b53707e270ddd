//! The arithmetic of knowledge distillation on ndarray views.
//!
//! Every kernel checks the shapes it is given, writes into arrays that its caller owns, and gives the same bits at any
//! number of threads: work is split into parts that do not share sums, and sums are taken in a fixed order.

pub mod adam;
pub mod attention;
pub mod augment;
pub mod batch_norm;
pub mod batch_stats;
pub mod binary;
mod box_muller;
pub mod channel_norm;
pub mod conv;
pub mod cross_entropy;
pub mod dropout;
mod elementary;
pub mod elementwise;
mod elementwise_loops;
pub mod embedding_bag;
pub mod error;
pub mod gather;
pub mod grad_norm;
pub mod graph;
pub mod indexing;
pub mod inference_queue;
pub mod kd_loss;
pub mod layer_norm;
pub mod linear;
mod long_planes;
pub mod matmul;
pub mod moving_average;
mod norm_pass;
pub mod norm_relu_dropout;
mod normalized;
pub mod optimizer;
pub mod parallel;
pub mod peak;
mod plane_sums;
pub mod pool;
mod prefetch;
pub mod reduce;
mod relu;
pub mod rng;
pub mod sgd;
mod short_planes;
mod smoothed_label;
pub mod softmax;
mod spin_wait;
pub mod standardize;
pub mod strided;
pub mod unary;
mod vectorised;

pub use error::{KernelError, Result};
