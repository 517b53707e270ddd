//! The random stream: the twister against published words, everything else against PyTorch.

use crate::common::{bits, close, refuses, same_bits};
use distillery_kernels::rng::{Generator, STATE_WORDS};

/// Runs `f` on the stream of a seed.
fn with_seed<T>(seed: u32, f: impl FnOnce(&mut Generator) -> T) -> T {
    let mut state = [9; STATE_WORDS];
    f(&mut Generator::seeded(&mut state, seed).unwrap())
}

fn uniforms(generator: &mut Generator, len: usize, from: f32, to: f32) -> Vec<f32> {
    let mut out = vec![f32::NAN; len];
    generator.fill_uniform(&mut out, from, to);
    out
}

fn normals(generator: &mut Generator, len: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; len];
    generator.fill_normal(&mut out, 0.0, 1.0);
    out
}

fn integers(generator: &mut Generator, len: usize, lo: i32, hi: i32) -> Vec<i32> {
    let mut out = vec![-1; len];
    generator.fill_integers(&mut out, lo, hi).unwrap();
    out
}

fn permutation(generator: &mut Generator, len: usize) -> Vec<i32> {
    let mut out = vec![-1; len];
    generator.fill_permutation(&mut out);
    out
}

/// The first words of `init_genrand(seed)` (`numpy.random.RandomState(seed).randint(0, 2**32, 5, dtype="u4")` gives the
/// same) and the 10000th, which the C++ standard states for 5489.
#[test]
fn words_are_those_of_the_mersenne_twister() {
    for (seed, first, last) in [
        (5489, [3499211612, 581869302, 3890346734, 3586334585, 545404204], 4123659995),
        (0, [2357136044, 2546248239, 3071714933, 3626093760, 2588848963], 1543171712),
        (1, [1791095845, 4282876139, 3093770124, 4005303368, 491263], 1237896635),
        (u32::MAX, [419326371, 479346978, 3918654476, 2416749639, 3388880820], 1117955853),
    ] {
        let words: Vec<u32> = with_seed(seed, |generator| (0..10_000).map(|_| generator.next_u32()).collect());
        assert_eq!((&words[..5], words[9_999]), (&first[..], last), "seed {seed}");
    }
}

#[test]
fn wide_draws_are_two_words_the_first_on_top() {
    let [high, low] = [2357136044u64, 2546248239];
    assert_eq!(with_seed(0, |generator| generator.next_u64()), high << 32 | low);
    let unit = ((high << 32 | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64;
    assert_eq!(with_seed(0, |generator| generator.unit_f64()), unit);
}

/// ```python
/// torch.manual_seed(0); torch.empty(3).normal_(0.25, 0.02)
/// torch.manual_seed(0); torch.empty(17).normal_(0.25, 0.02)[:4]
/// ```
#[test]
fn normals_have_a_mean_and_a_deviation() {
    for (len, first) in
        [(3, &[0.28081992f32, 0.24413142, 0.2064242][..]), (17, &[0.2274832, 0.21608138, 0.26133302, 0.26587015])]
    {
        let mut out = vec![f32::NAN; len];
        with_seed(0, |generator| generator.fill_normal(&mut out, 0.25, 0.02));
        assert_eq!(&out[..first.len()], first, "{len}");
    }
}

/// ```python
/// torch.manual_seed(0)
/// torch.rand(5), torch.randn(3), torch.empty(3).uniform_(-2, 3), torch.randn(1), torch.randn(16), torch.randn(20)
/// torch.randn(2), torch.randint(0, 10, (12,)), torch.randint(-5, 1000, (4,)), torch.randperm(10), torch.randperm(1)
/// torch.rand(2)
/// ```
/// Three normals leave the second of a pair behind: it comes in the next single one, whatever was drawn between.
#[test]
fn one_stream_serves_every_draw_as_in_pytorch() {
    let close = |label: &str, got: Vec<f32>, want: &[f64]| close(label, &got, want, 1e-6);
    with_seed(0, |generator| {
        close(
            "rand(5)",
            uniforms(generator, 5, 0.0, 1.0),
            &[0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688, 0.30742281675338745],
        );
        close("randn(3)", normals(generator, 3), &[0.5507453083992004, 0.2703641355037689, 0.6472479701042175]);
        close(
            "uniform_(-2, 3)",
            uniforms(generator, 3, -2.0, 3.0),
            &[-1.155705213546753, -0.5305577516555786, 0.5926089286804199],
        );
        close("randn(1)", normals(generator, 1), &[0.24900221824645996]);
        close(
            "randn(16)",
            normals(generator, 16),
            &[
                -1.3526537418365479,
                -1.6959311962127686,
                0.5666506290435791,
                0.7935083508491516,
                0.5988394618034363,
                -1.5550950765609741,
                -0.3413603901863098,
                1.85300612449646,
                0.750189483165741,
                -0.5854975581169128,
                -0.1733967512845993,
                0.18347793817520142,
                1.3893661499023438,
                1.586334228515625,
                0.946298360824585,
                -0.843676745891571,
            ],
        );
        close(
            "randn(20)",
            normals(generator, 20),
            &[
                -0.6135830879211426,
                0.03159274160861969,
                -0.4926769733428955,
                0.2484147548675537,
                -0.23033547401428223,
                -0.3917543888092041,
                0.5432947278022766,
                -0.3951575458049774,
                0.20552566647529602,
                -0.4503297507762909,
                -0.5730770826339722,
                -0.5553584098815918,
                -1.5311843156814575,
                -1.2341350317001343,
                1.8197252750396729,
                -0.5515286922454834,
                -1.3253259658813477,
                0.1885535717010498,
                -0.06907268613576889,
                -0.4949253499507904,
            ],
        );
        close("randn(2)", normals(generator, 2), &[-2.2187793254852295, 0.2589845359325409]);
        assert_eq!(integers(generator, 12, 0, 10), [0, 0, 8, 1, 9, 6, 1, 0, 2, 9, 4, 3]);
        assert_eq!(integers(generator, 4, -5, 1000), [184, 438, 509, 353]);
        assert_eq!(permutation(generator, 10), [9, 3, 0, 6, 8, 4, 2, 1, 5, 7]);
        assert_eq!(permutation(generator, 1), [0]);
        close("rand(2)", uniforms(generator, 2, 0.0, 1.0), &[0.6046506762504578, 0.1099579930305481]);
    });
}

/// Uniforms and whole numbers take no rounding that could differ: `torch.rand(2)` of each seed, bit for bit, where
/// 4294967303 is `torch.manual_seed(2**32 + 7)`, of which the low 32 bits count.
#[test]
fn seeds_are_those_of_pytorch() {
    for (seed, want) in [
        (1u64, [0.7576315999031067, 0.2793108820915222]),
        (42, [0.8822692632675171, 0.9150039553642273]),
        (5489, [0.5692651271820068, 0.6821130514144897]),
        (4294967295, [0.9937993884086609, 0.5713063478469849]),
        (4294967303, [0.5349225401878357, 0.19880318641662598]),
    ] {
        let got = with_seed(seed as u32, |generator| uniforms(generator, 2, 0.0, 1.0));
        assert_eq!(got, want.map(|x: f64| x as f32), "seed {seed}");
    }
}

/// ```python
/// torch.manual_seed(0); t = torch.randn(1000).double(); t.sum(), (t**2).sum(), t[[0, 991, 992, 999]], torch.rand(1)
/// torch.manual_seed(0); t = torch.empty(1000).uniform_(-0.1, 0.3).double().sum()
/// torch.manual_seed(0); t = torch.randperm(1000); (t * torch.arange(1000)).sum()
/// torch.manual_seed(0); torch.randint(-2**31, 2**31 - 1, (4,))
/// ```
#[test]
fn long_draws_are_those_of_pytorch() {
    with_seed(0, |generator| {
        let x = normals(generator, 1000);
        let (sum, squares) = x.iter().map(|&x| f64::from(x)).fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        close("sums", &[sum, squares], &[28.9183199830004, 1057.9924243648697], 1e-6);
        let want = [-1.1258398294448853, 0.11046642810106277, 0.7675803303718567, -0.5861721038818359];
        close("values", &[x[0], x[991], x[992], x[999]], &want, 1e-6);
        assert_eq!(uniforms(generator, 1, 0.0, 1.0), [0.932_485_76]);
    });
    let sum: f64 = with_seed(0, |generator| uniforms(generator, 1000, -0.1, 0.3)).into_iter().map(f64::from).sum();
    close("uniform", &[sum], &[100.3699405019288], 1e-9);
    let order = with_seed(0, |generator| permutation(generator, 1000));
    assert_eq!(order.iter().zip(0..).map(|(x, i)| x * i).sum::<i32>(), 251667852);
    let wide = with_seed(0, |generator| integers(generator, 4, i32::MIN, i32::MAX));
    assert_eq!(wide, [-1539066660, 255357750, -168753601, -463277013]);
}

#[test]
fn every_length_is_filled_and_in_range() {
    for len in crate::common::SIZES.into_iter().chain([0, 15, 16, 17, 31, 32]) {
        with_seed(len as u32, |generator| {
            assert!(uniforms(generator, len, -0.5, 0.25).iter().all(|x| (-0.5..0.25).contains(x)), "uniform {len}");
            assert!(normals(generator, len).iter().all(|x| x.abs() < 7.0), "normal {len}");
            assert!(integers(generator, len, -3, 4).iter().all(|x| (-3..4).contains(x)), "integers {len}");
            let mut order = permutation(generator, len);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..len as i32), "permutation {len}");
        });
    }
}

#[test]
fn a_saved_state_goes_on_where_it_stood() {
    let draw = |generator: &mut Generator| (normals(generator, 3), generator.next_u32(), normals(generator, 1));
    for skip in [0, 1, 3, 623, 624, 625, 5000] {
        let mut state = [0; STATE_WORDS];
        let mut generator = Generator::seeded(&mut state, 7).unwrap();
        // An odd number of normals, so that one lies in wait.
        normals(&mut generator, 1);
        (0..skip).for_each(|_| _ = generator.next_u32());
        let mut saved = state;
        let on = draw(&mut Generator::new(&mut state).unwrap());
        assert_eq!(draw(&mut Generator::new(&mut saved).unwrap()), on, "after {skip}");
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    same_bits("normal", || with_seed(3, |generator| normals(generator, 10_007)).into_iter().map(f64::from).collect());
}

#[test]
fn refuses_foreign_states_and_empty_ranges() {
    let mut foreign: Vec<u32> = bits(1).take(STATE_WORDS).map(|z| z as u32).collect();
    foreign[624] = 625;
    let range = |lo, hi| with_seed(0, |generator| generator.fill_integers(&mut [0; 3], lo, hi));
    let (shape, argument) = ("SHAPE_MISMATCH", "BAD_ARGUMENT");
    for (result, code, message) in [
        (Generator::new(&mut [0; 624]).map(drop), shape, "random: state: expected shape [628], got [624]"),
        (Generator::seeded(&mut [], 1).map(drop), shape, "random: state: expected shape [628], got [0]"),
        (Generator::new(&mut foreign).map(drop), argument, "random: state index: expected 0 to 624, got 625"),
        (range(3, 3), argument, "randint: high: expected a number above low, got 3"),
        (range(0, -1), argument, "randint: high: expected a number above low, got -1"),
    ] {
        refuses(result, code, message);
    }
}
