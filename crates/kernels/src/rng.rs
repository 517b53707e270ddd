//! PyTorch's CPU random stream: MT19937, and what PyTorch makes of its words.
//!
//! The state lies with the caller, as `STATE_WORDS` words, so that it can be saved, restored and owned by one run: 624
//! words of the twister, the index of the next word, a flag and two words that hold the second of a pair of normals.

use crate::box_muller::{GROUP, box_muller};
use crate::error::{Result, expect_shape, expect_that};
use crate::vectorised::vectorised;

const N: usize = 624;
const M: usize = 397;
/// How many flags, or pairs of uniforms, are drawn at a time.
const BLOCK: usize = 4 * N;
const INDEX: usize = N;
const CACHED: usize = N + 1;
const CACHE: usize = N + 2;

/// The length of a generator's state in 32-bit words.
pub const STATE_WORDS: usize = N + 4;

/// A generator on a state that the caller owns.
pub struct Generator<'a> {
    state: &'a mut [u32],
}

impl<'a> Generator<'a> {
    /// Continues the stream from a state.
    pub fn new(state: &'a mut [u32]) -> Result<Self> {
        expect_shape("random", "state", &[state.len()], &[STATE_WORDS])?;
        expect_that(state[INDEX] as usize <= N, "random", "state index", state[INDEX].into(), "0 to 624")?;
        Ok(Self { state })
    }

    /// Starts the stream of a seed, as `torch.manual_seed` (`init_genrand`).
    pub fn seeded(state: &'a mut [u32], seed: u32) -> Result<Self> {
        expect_shape("random", "state", &[state.len()], &[STATE_WORDS])?;
        state.fill(0);
        state[0] = seed;
        for i in 1..N {
            let previous = state[i - 1];
            state[i] = 1812433253u32.wrapping_mul(previous ^ (previous >> 30)).wrapping_add(i as u32);
        }
        state[INDEX] = N as u32;
        Ok(Self { state })
    }

    /// The next 32 bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        let mut index = self.state[INDEX] as usize;
        if index >= N {
            twist(self.state);
            index = 0;
        }
        self.state[INDEX] = index as u32 + 1;
        temper(self.state[index])
    }

    /// The next 64 bits: two draws, the first one in the upper half.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let high = self.next_u32();
        (u64::from(high) << 32) | u64::from(self.next_u32())
    }

    /// Sets each flag with a chance of `chance`, as if by `unit_f64() < chance`: one 64-bit draw a flag.
    pub fn fill_bernoulli(&mut self, out: &mut [u8], chance: f64) {
        // Compares whole numbers: `unit_f64() < chance`, multiplied by 2^53 on both sides, which is exact.
        let limit = (chance * (1u64 << 53) as f64).ceil() as u64;
        let mut words = [0; 2 * BLOCK];
        for flags in out.chunks_mut(BLOCK) {
            let words = &mut words[..2 * flags.len()];
            self.fill_words(words);
            compare(words, limit, flags);
        }
    }

    /// The next words, in order.
    pub fn fill_words(&mut self, mut out: &mut [u32]) {
        while !out.is_empty() {
            if self.state[INDEX] as usize >= N {
                twist(self.state);
                self.state[INDEX] = 0;
            }
            let index = self.state[INDEX] as usize;
            let (now, later) = out.split_at_mut(out.len().min(N - index));
            temper_all(&self.state[index..], now);
            self.state[INDEX] += now.len() as u32;
            out = later;
        }
    }

    /// A double in [0, 1) of 53 bits.
    #[inline]
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() & ((1 << 53) - 1)) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Fills with uniforms of [from, to), as `Tensor.uniform_`: product and sum are rounded once.
    pub fn fill_uniform(&mut self, out: &mut [f32], from: f32, to: f32) {
        let mut words = [0; 2 * BLOCK];
        for values in out.chunks_mut(2 * BLOCK) {
            let words = &mut words[..values.len()];
            self.fill_words(words);
            scale(words, from, to, values);
        }
    }

    /// Fills with normals of a mean and a deviation, as `Tensor.normal_`, of 0 and 1 as `torch.randn`. From 16 elements
    /// on, product and sum are rounded once.
    pub fn fill_normal(&mut self, out: &mut [f32], mean: f64, deviation: f64) {
        if out.len() < GROUP {
            for value in out {
                *value = (self.one_normal() * deviation + mean) as f32;
            }
            return;
        }
        self.fill_standard_normal(out);
        if (mean, deviation) != (0.0, 1.0) {
            let [mean, deviation] = [mean, deviation].map(|number| f64::from(number as f32));
            for value in out {
                *value = (f64::from(*value) * deviation + mean) as f32;
            }
        }
    }

    fn fill_standard_normal(&mut self, out: &mut [f32]) {
        self.fill_uniform(out, 0.0, 1.0);
        let whole = out.len() - out.len() % GROUP;
        box_muller(&mut out[..whole]);
        if whole < out.len() {
            let start = out.len() - GROUP;
            self.fill_uniform(&mut out[start..], 0.0, 1.0);
            box_muller(&mut out[start..]);
        }
    }

    /// One normal in double precision; the second of its pair is kept for the next call.
    fn one_normal(&mut self) -> f64 {
        if self.state[CACHED] != 0 {
            self.state[CACHED] = 0;
            return f64::from_bits(u64::from(self.state[CACHE]) << 32 | u64::from(self.state[CACHE + 1]));
        }
        let (u1, u2) = (self.unit_f64(), self.unit_f64());
        let (radius, theta) = ((-2.0 * (-u2).ln_1p()).sqrt(), 2.0 * std::f64::consts::PI * u1);
        let kept = (radius * theta.sin()).to_bits();
        self.state[CACHED] = 1;
        self.state[CACHE] = (kept >> 32) as u32;
        self.state[CACHE + 1] = kept as u32;
        radius * theta.cos()
    }

    /// Fills with whole numbers of [lo, hi), as `torch.randint`: a range of 2^28 and more takes 64 bits a number.
    pub fn fill_integers(&mut self, out: &mut [i32], lo: i32, hi: i32) -> Result<()> {
        expect_that(hi > lo, "randint", "high", hi.into(), "a number above low")?;
        let range = (i64::from(hi) - i64::from(lo)) as u64;
        for value in out {
            let drawn = if range >= 1 << 28 { self.next_u64() } else { self.next_u32().into() };
            *value = (i64::from(lo) + (drawn % range) as i64) as i32;
        }
        Ok(())
    }

    /// Fills with a random order of 0..n, as `torch.randperm`.
    pub fn fill_permutation(&mut self, out: &mut [i32]) {
        for (i, value) in out.iter_mut().enumerate() {
            *value = i as i32;
        }
        let n = out.len();
        for i in 0..n.saturating_sub(1) {
            let z = self.next_u32() as usize % (n - i);
            out.swap(i, i + z);
        }
    }
}

#[inline(always)]
fn temper(mut y: u32) -> u32 {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}

#[inline(always)]
fn mix(upper: u32, lower: u32, far: u32) -> u32 {
    let y = (upper & 0x8000_0000) | (lower & 0x7fff_ffff);
    far ^ (y >> 1) ^ ((lower & 1).wrapping_neg() & 0x9908_b0df)
}

vectorised! {
fn twist<'a>(state: &'a mut [u32]) {
    let state: &mut [u32; N] = state.first_chunk_mut().expect("a state holds the words of the twister");
    for i in 0..N - M {
        state[i] = mix(state[i], state[i + 1], state[i + M]);
    }
    for i in N - M..N - 1 {
        state[i] = mix(state[i], state[i + 1], state[i + M - N]);
    }
    state[N - 1] = mix(state[N - 1], state[0], state[M - 1]);
}
}

vectorised! {
fn temper_all<'a>(raw: &'a [u32], words: &'a mut [u32]) {
    words.iter_mut().zip(raw).for_each(|(word, &raw)| *word = temper(raw));
}
}

vectorised! {
/// Whether the 53 bits of each pair of words are below the limit.
fn compare<'a>(words: &'a [u32], limit: u64, flags: &'a mut [u8]) {
    for (flag, pair) in flags.iter_mut().zip(words.as_chunks::<2>().0) {
        let drawn = u64::from(pair[0] & 0x1f_ffff) << 32 | u64::from(pair[1]);
        *flag = u8::from(drawn < limit);
    }
}
}

vectorised! {
/// Floats of 24 bits in [0, 1), stretched to [from, to): product and sum are rounded once.
fn scale<'a>(words: &'a [u32], from: f32, to: f32, values: &'a mut [f32]) {
    for (value, word) in values.iter_mut().zip(words) {
        let unit = (*word & 0xff_ffff) as i32 as f32 * (1.0 / (1u32 << 24) as f32);
        *value = unit.mul_add(to - from, from);
    }
}
}
