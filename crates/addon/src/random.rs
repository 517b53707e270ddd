use crate::borrow::{F32Mut, I32Mut, Memory, U32Mut};
use crate::error::{Result, kernel_error};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use napi_derive::napi;

/// The length of a generator's state
#[napi(catch_unwind)]
pub fn random_state_words() -> u32 {
    STATE_WORDS as u32
}

/// Starts the stream of a seed
#[napi(catch_unwind)]
pub fn random_seed(mut state: U32Mut, seed: u32) -> Result<()> {
    let mut memory = Memory::new();
    Generator::seeded(memory.write(&mut state)?, seed).map(|_| ()).map_err(kernel_error)
}

/// Fills with uniforms of [from, to)
#[napi(catch_unwind)]
pub fn random_uniform(mut state: U32Mut, mut out: F32Mut, from: f64, to: f64) -> Result<()> {
    let mut memory = Memory::new();
    let (mut generator, out) = (memory.generator(&mut state)?, memory.write(&mut out)?);
    generator.fill_uniform(out, from as f32, to as f32);
    Ok(())
}

/// Fills with normals
#[napi(catch_unwind)]
pub fn random_normal(mut state: U32Mut, mut out: F32Mut, mean: f64, deviation: f64) -> Result<()> {
    let mut memory = Memory::new();
    let (mut generator, out) = (memory.generator(&mut state)?, memory.write(&mut out)?);
    generator.fill_normal(out, mean, deviation);
    Ok(())
}

/// Fills with whole numbers of [low, high)
#[napi(catch_unwind)]
pub fn random_integers(mut state: U32Mut, mut out: I32Mut, low: i32, high: i32) -> Result<()> {
    let mut memory = Memory::new();
    let (mut generator, out) = (memory.generator(&mut state)?, memory.write(&mut out)?);
    generator.fill_integers(out, low, high).map_err(kernel_error)
}

/// Fills with a random order of 0 to its length
#[napi(catch_unwind)]
pub fn random_permutation(mut state: U32Mut, mut out: I32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (mut generator, out) = (memory.generator(&mut state)?, memory.write(&mut out)?);
    generator.fill_permutation(out);
    Ok(())
}

/// Fills with the next words of the stream
#[napi(catch_unwind)]
pub fn random_words(mut state: U32Mut, mut out: U32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (mut generator, out) = (memory.generator(&mut state)?, memory.write(&mut out)?);
    generator.fill_words(out);
    Ok(())
}
