//! The distillation loss and its gradient: against a naive loop, slopes and PyTorch.

use crate::common::{blank, close, labels, matrix, pairs, ramp, refuses, same_bits, scaled, shaped, slope, wide};
use distillery_kernels::Result;
use distillery_kernels::kd_loss::{KdLoss, KdOptions, kd_loss};
use ndarray::Array2;

/// The script's options, and the ends of their ranges.
const OPTIONS: [KdOptions; 7] = [
    KdOptions { temperature: 3.5, alpha: 0.6, label_smoothing: 0.0 },
    KdOptions { temperature: 1.0, alpha: 1.0, label_smoothing: 0.0 },
    KdOptions { temperature: 20.0, alpha: 0.0, label_smoothing: 0.0 },
    KdOptions { temperature: 0.5, alpha: 0.5, label_smoothing: 0.0 },
    KdOptions { temperature: 100.0, alpha: 0.9, label_smoothing: 0.0 },
    KdOptions { temperature: 3.5, alpha: 0.5, label_smoothing: 0.1 },
    KdOptions { temperature: 2.0, alpha: 0.0, label_smoothing: 1.0 },
];
const SCRIPT: KdOptions = OPTIONS[0];

fn run(
    student: &Array2<f32>,
    teacher: &Array2<f32>,
    labels: &[i32],
    options: KdOptions,
) -> Result<(KdLoss, Array2<f32>)> {
    let mut grad = blank(student.nrows(), student.ncols());
    kd_loss(student.view(), teacher.view(), labels, options, grad.view_mut()).map(|loss| (loss, grad))
}

fn log_softmax(x: &[f64], temperature: f64) -> Vec<f64> {
    let log_sum = x.iter().map(|x| (x / temperature).exp()).sum::<f64>().ln();
    x.iter().map(|x| x / temperature - log_sum).collect()
}

/// What the class j of a row is expected with by its label.
fn target(j: usize, label: i32, classes: usize, smoothing: f64) -> f64 {
    (1.0 - smoothing) * f64::from(j == label as usize) + smoothing / classes as f64
}

/// Total, soft and hard.
fn naive(student: &[f64], teacher: &[f64], labels: &[i32], options: KdOptions) -> [f64; 3] {
    let KdOptions { temperature, alpha, label_smoothing } = options;
    let (rows, classes) = (labels.len() as f64, student.len() / labels.len());
    let (mut soft, mut hard) = (0.0, 0.0);
    for ((s, t), &label) in student.chunks_exact(classes).zip(teacher.chunks_exact(classes)).zip(labels) {
        let (log_q, log_p) = (log_softmax(s, temperature), log_softmax(t, temperature));
        soft += log_p.iter().zip(log_q).map(|(log_p, log_q)| log_p.exp() * (log_p - log_q)).sum::<f64>();
        let weighed = |(j, y): (usize, f64)| y * target(j, label, classes, label_smoothing);
        hard -= log_softmax(s, 1.0).into_iter().enumerate().map(weighed).sum::<f64>();
    }
    let (soft, hard) = (soft * temperature.powi(2) / rows, hard / rows);
    [alpha * soft + (1.0 - alpha) * hard, soft, hard]
}

/// Times the number of rows: the gradient of each row's own loss.
fn naive_gradient(student: &[f64], teacher: &[f64], labels: &[i32], options: KdOptions) -> Vec<f64> {
    let KdOptions { temperature, alpha, label_smoothing } = options;
    let classes = student.len() / labels.len();
    let rows = student.chunks_exact(classes).zip(teacher.chunks_exact(classes)).zip(labels);
    rows.flat_map(|((s, t), &label)| {
        let (log_q, log_p) = (log_softmax(s, temperature), log_softmax(t, temperature));
        let soft = log_q.into_iter().zip(log_p).map(move |(q, p)| alpha * temperature * (q.exp() - p.exp()));
        let slope = move |(j, y): (usize, f64)| (1.0 - alpha) * (y.exp() - target(j, label, classes, label_smoothing));
        let hard = log_softmax(s, 1.0).into_iter().enumerate().map(slope);
        soft.zip(hard).map(|(soft, hard)| soft + hard)
    })
    .collect()
}

#[test]
fn loss_and_gradient_are_those_of_a_naive_loop() {
    for (rows, classes) in pairs() {
        let (student, teacher) = (matrix(rows, classes, 1) * 4.0, matrix(rows, classes, 2) * 8.0);
        let labels = labels(rows, classes);
        for options in OPTIONS {
            // The largest shape is the slowest by far: the script's options are enough for it.
            if rows * classes == 1_000_000 && options.alpha != SCRIPT.alpha {
                continue;
            }
            let (loss, grad) = run(&student, &teacher, &labels, options).unwrap();
            let (s, t) = (wide(student.view()), wide(teacher.view()));
            let label = format!("{rows}x{classes} {options:?}");
            // T^2 magnifies what a float cannot hold of the divergence.
            let tolerance = 2e-7 * options.temperature.powi(2).max(10.0);
            close(&label, &[loss.total, loss.soft, loss.hard], &naive(&s, &t, &labels, options), tolerance);
            let want = naive_gradient(&s, &t, &labels, options);
            let tolerance = 1e-6 * options.temperature.max(1.0);
            close(&label, &scaled(grad.as_slice().unwrap(), rows as f64), &want, tolerance);
        }
    }
}

#[test]
fn gradient_is_the_slope() {
    let (student, teacher, labels) = (matrix(7, 5, 1), matrix(7, 5, 2), labels(7, 5));
    for options in OPTIONS {
        let t = wide(teacher.view());
        let want = slope(&wide(student.view()), |student| naive(student, &t, &labels, options)[0]);
        let grad = run(&student, &teacher, &labels, options).unwrap().1;
        close(&format!("{options:?}"), grad.as_slice().unwrap(), &want, 1e-7 * options.temperature.max(1.0));
    }
}

/// ```python
/// ramp = lambda n, a, b: torch.tensor([(i * a) % b / 4 - 1 for i in range(n)])
/// s = ramp(12, 7, 11).reshape(3, 4).requires_grad_(); t = ramp(12, 5, 7).reshape(3, 4)
/// soft = F.kl_div(F.log_softmax(s / 3.5, 1), F.softmax(t / 3.5, 1), reduction="batchmean") * 3.5**2
/// hard = F.cross_entropy(s, torch.tensor([0, 3, 1]))
/// total = 0.6 * soft + 0.4 * hard; total.backward(); total, soft, hard, s.grad
/// ```
#[test]
fn numbers_are_those_of_pytorch() {
    let (student, teacher) = (shaped(3, 4, ramp(12, 7, 11)), shaped(3, 4, ramp(12, 5, 7)));
    let (loss, grad) = run(&student, &teacher, &[0, 3, 1], SCRIPT).unwrap();
    let want = [1.0047179460525513, 0.5047013759613037, 1.7547426223754883];
    close("loss", &[loss.total, loss.soft, loss.hard], &want, 1e-6);
    let want = [
        -0.156574085354805,
        0.020082037895917892,
        -0.023234302178025246,
        0.1597263365983963,
        -0.00430649146437645,
        -0.0399370975792408,
        0.12648603320121765,
        -0.08224242180585861,
        -0.03049687296152115,
        0.021335039287805557,
        0.0667656883597374,
        -0.05760394409298897,
    ];
    close("gradient", grad.as_slice().unwrap(), &want, 1e-7);
}

/// As above, with `label_smoothing=0.2`.
#[test]
fn smoothed_numbers_are_those_of_pytorch() {
    let (student, teacher) = (shaped(3, 4, ramp(12, 7, 11)), shaped(3, 4, ramp(12, 5, 7)));
    let options = KdOptions { label_smoothing: 0.2, ..SCRIPT };
    let (loss, grad) = run(&student, &teacher, &[0, 3, 1], options).unwrap();
    let want = [0.9997179508209229, 0.5047013759613037, 1.742242693901062];
    close("loss", &[loss.total, loss.soft, loss.hard], &want, 1e-6);
    let want = [
        -0.13657408952713013,
        0.013415371999144554,
        -0.029900969937443733,
        0.15305966138839722,
        -0.010973159223794937,
        -0.046603765338659286,
        0.11981937289237976,
        -0.062242425978183746,
        -0.037163540720939636,
        0.04133503511548042,
        0.06009902060031891,
        -0.06427061557769775,
    ];
    close("gradient", grad.as_slice().unwrap(), &want, 1e-7);
}

#[test]
fn a_student_equal_to_its_teacher_has_nothing_to_learn_from_it() {
    let (logits, labels) = (matrix(63, 10, 1), labels(63, 10));
    let (loss, grad) =
        run(&logits, &logits, &labels, KdOptions { temperature: 3.5, alpha: 1.0, label_smoothing: 0.0 }).unwrap();
    assert_eq!((loss.total, loss.soft), (0.0, 0.0));
    assert!(grad.iter().all(|&g| g == 0.0));
}

#[test]
fn a_class_that_the_teacher_rules_out_adds_nothing() {
    let low = f32::NEG_INFINITY;
    let (student, teacher) = (shaped(1, 3, vec![1.0, 2.0, 3.0]), shaped(1, 3, vec![0.5, 0.25, low]));
    let (loss, grad) = run(&student, &teacher, &[0], SCRIPT).unwrap();
    let nearly = naive(&[1.0, 2.0, 3.0], &[0.5, 0.25, -1e5], &[0], SCRIPT);
    close("loss", &[loss.total, loss.soft, loss.hard], &nearly, 1e-6);
    assert!(grad.iter().all(|g| g.is_finite()));
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, classes) in pairs().chain([(10_007, 10)]) {
        let (student, teacher) = (matrix(rows, classes, 1), matrix(rows, classes, 2));
        let labels = labels(rows, classes);
        same_bits(&format!("{rows}x{classes}"), || {
            let (loss, grad) = run(&student, &teacher, &labels, SCRIPT).unwrap();
            wide(grad.view()).into_iter().chain([loss.total, loss.soft, loss.hard]).collect()
        });
    }
}

#[test]
fn refuses_shapes_labels_and_options() {
    let shapes = |student: [usize; 2], teacher: [usize; 2], labels: &[i32]| {
        run(&matrix(student[0], student[1], 1), &matrix(teacher[0], teacher[1], 2), labels, SCRIPT)
    };
    let options =
        |temperature, alpha| run(&matrix(1, 2, 1), &matrix(1, 2, 2), &[0], KdOptions { temperature, alpha, ..SCRIPT });
    let smoothed =
        |label_smoothing| run(&matrix(1, 2, 1), &matrix(1, 2, 2), &[0], KdOptions { label_smoothing, ..SCRIPT });
    let grad = kd_loss(matrix(1, 2, 1).view(), matrix(1, 2, 2).view(), &[0], SCRIPT, blank(2, 1).view_mut());
    let (shape, argument, label) = ("SHAPE_MISMATCH", "BAD_ARGUMENT", "LABEL_OUT_OF_RANGE");
    for (result, code, message) in [
        (
            shapes([0, 3], [0, 3], &[]),
            shape,
            "student_logits: expected at least one row and one column, got shape [0, 3]",
        ),
        (
            shapes([2, 0], [2, 0], &[0, 0]),
            shape,
            "student_logits: expected at least one row and one column, got shape [2, 0]",
        ),
        (shapes([2, 9], [2, 10], &[0, 0]), shape, "teacher_logits: expected shape [2, 9], got [2, 10]"),
        (shapes([2, 3], [1, 3], &[0, 0]), shape, "teacher_logits: expected shape [2, 3], got [1, 3]"),
        (shapes([2, 3], [2, 3], &[0]), shape, "labels: expected shape [2], got [1]"),
        (grad.map(|loss| (loss, blank(0, 0))), shape, "grad: expected shape [1, 2], got [2, 1]"),
        (shapes([2, 3], [2, 3], &[0, 3]), label, "labels[1]: expected a class from 0 to 2, got 3"),
        (shapes([2, 3], [2, 3], &[-1, 0]), label, "labels[0]: expected a class from 0 to 2, got -1"),
        (options(0.0, 0.5), argument, "temperature: expected a number above 0, got 0"),
        (options(-1.0, 0.5), argument, "temperature: expected a number above 0, got -1"),
        (options(f64::NAN, 0.5), argument, "temperature: expected a number above 0, got NaN"),
        (options(f64::INFINITY, 0.5), argument, "temperature: expected a number above 0, got inf"),
        (options(1.0, -0.1), argument, "alpha: expected a number from 0 to 1, got -0.1"),
        (options(1.0, 1.1), argument, "alpha: expected a number from 0 to 1, got 1.1"),
        (smoothed(-0.1), argument, "label_smoothing: expected a number from 0 to 1, got -0.1"),
        (smoothed(1.1), argument, "label_smoothing: expected a number from 0 to 1, got 1.1"),
        (options(1.0, f64::NAN), argument, "alpha: expected a number from 0 to 1, got NaN"),
    ] {
        refuses(result, code, &format!("kd_loss: {message}"));
    }
}

#[test]
fn refuses_what_is_not_finite_in_either_network() {
    let fine = shaped(1, 3, vec![0.5, 1.0, -0.5]);
    let low = f32::NEG_INFINITY;
    for (poison, got) in [(f32::NAN, "NaN"), (f32::INFINITY, "NaN")] {
        let poisoned = shaped(1, 3, vec![0.5, poison, 0.0]);
        for (student, teacher) in [(&poisoned, &fine), (&fine, &poisoned), (&poisoned, &poisoned)] {
            let message = format!(
                "kd_loss: loss is not finite (got {got}): \
                 look for NaN or infinity in the data, or lower the learning rate"
            );
            refuses(run(student, teacher, &[0], SCRIPT), "NON_FINITE", &message);
        }
    }
    let ruled_out = run(&shaped(1, 3, vec![0.5, low, 0.0]), &fine, &[0], SCRIPT).unwrap_err();
    assert_eq!(ruled_out.code(), "NON_FINITE", "the student rules out what the teacher does not");
}

#[test]
fn a_high_temperature_keeps_its_digits() {
    // T^2 KL goes to the variance of the logits' differences over the classes, halved: 0.171875 / 2 here.
    let (student, teacher) = (shaped(1, 4, vec![0.5, -1.0, 2.0, 0.0]), shaped(1, 4, vec![1.0, -1.5, 2.0, 0.5]));
    for temperature in [1e4, 1e6, 1e8] {
        let options = KdOptions { temperature, alpha: 1.0, label_smoothing: 0.0 };
        let (loss, grad) = run(&student, &teacher, &[0], options).unwrap();
        assert!((loss.soft - 0.085_937_5).abs() < 1e-4, "{temperature}: {}", loss.soft);
        close("gradient", grad.as_slice().unwrap(), &[-0.09375, 0.15625, 0.03125, -0.09375], 1e-4);
    }
}
