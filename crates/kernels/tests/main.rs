//! Each kernel against a naive loop and PyTorch's numbers.

mod common;

mod adam;
mod attention;
mod augment;
mod batch_norm;
mod bf16;
mod channel_norm;
mod conv;
mod cross_entropy;
mod dropout;
mod elementwise;
mod elementwise_tables;
mod embedding_bag;
mod gather;
mod grad_norm;
mod graph;
mod indexing;
mod kd_loss;
mod layer_norm;
mod linear;
mod matmul;
mod moving_average;
mod norm_relu_dropout;
mod parallel;
mod pool;
mod reduce;
mod rng;
mod sgd;
mod softmax;
mod standardize;
mod strided;
