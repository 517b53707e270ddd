;; What WebAssembly computes in exported modules, with vectors of four numbers. Addresses are in bytes. A row whose
;; length is no multiple of four is read and written beyond its end, up to three numbers: what lies there is not looked
;; at, or written later.
(module
  (import "js" "memory" (memory 1))

  ;; y [rows, n] = a [rows, k] times b [k, n]: of each row of a, the rows of b times its numbers, four at a time.
  (func (export "multiply")
    (param $a i32) (param $b i32) (param $y i32) (param $rows i32) (param $k i32) (param $n i32)
    (local $row i32) (local $two i32) (local $three i32) (local $b_row i32) (local $at i32)
    (local $y_at i32) (local $y_end i32) (local $a_end i32) (local $a_fours i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local.set $row (i32.shl (local.get $n) (i32.const 2)))
    (local.set $two (i32.shl (local.get $n) (i32.const 3)))
    (local.set $three (i32.add (local.get $row) (local.get $two)))
    (loop $rows_of_a
      (memory.fill (local.get $y) (i32.const 0) (local.get $row))
      (local.set $y_end (i32.add (local.get $y) (local.get $row)))
      (local.set $a_end (i32.add (local.get $a) (i32.shl (local.get $k) (i32.const 2))))
      (local.set $a_fours (i32.add (local.get $a) (i32.shl (i32.and (local.get $k) (i32.const -4)) (i32.const 2))))
      (local.set $b_row (local.get $b))
      (block $no_four (loop $fours
        (br_if $no_four (i32.eq (local.get $a) (local.get $a_fours)))
        (local.set $a0 (v128.load32_splat (local.get $a)))
        (local.set $a1 (v128.load32_splat offset=4 (local.get $a)))
        (local.set $a2 (v128.load32_splat offset=8 (local.get $a)))
        (local.set $a3 (v128.load32_splat offset=12 (local.get $a)))
        (local.set $at (local.get $b_row))
        (local.set $y_at (local.get $y))
        (loop $columns
          (v128.store (local.get $y_at)
            (f32x4.add
              (v128.load (local.get $y_at))
              (f32x4.add
                (f32x4.add
                  (f32x4.mul (local.get $a0) (v128.load (local.get $at)))
                  (f32x4.mul (local.get $a1) (v128.load (i32.add (local.get $at) (local.get $row)))))
                (f32x4.add
                  (f32x4.mul (local.get $a2) (v128.load (i32.add (local.get $at) (local.get $two))))
                  (f32x4.mul (local.get $a3) (v128.load (i32.add (local.get $at) (local.get $three))))))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (local.set $y_at (i32.add (local.get $y_at) (i32.const 16)))
          (br_if $columns (i32.lt_u (local.get $y_at) (local.get $y_end))))
        (local.set $a (i32.add (local.get $a) (i32.const 16)))
        (local.set $b_row (i32.add (local.get $b_row) (i32.add (local.get $row) (local.get $three))))
        (br $fours)))
      ;; The rows of b that are left, one at a time.
      (block $none (loop $ones
        (br_if $none (i32.eq (local.get $a) (local.get $a_end)))
        (local.set $a0 (v128.load32_splat (local.get $a)))
        (local.set $at (local.get $b_row))
        (local.set $y_at (local.get $y))
        (loop $columns
          (v128.store (local.get $y_at)
            (f32x4.add (v128.load (local.get $y_at)) (f32x4.mul (local.get $a0) (v128.load (local.get $at)))))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (local.set $y_at (i32.add (local.get $y_at) (i32.const 16)))
          (br_if $columns (i32.lt_u (local.get $y_at) (local.get $y_end))))
        (local.set $a (i32.add (local.get $a) (i32.const 4)))
        (local.set $b_row (i32.add (local.get $b_row) (local.get $row)))
        (br $ones)))
      (local.set $y (local.get $y_end))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $rows_of_a (local.get $rows))))

  ;; What one number of a kernel meets in an image's channel [height, width]: of $rows lines of the output, from the
  ;; channel's $line on, the columns from $left on. Outside of the image it is 0.
  (func (export "unfold")
    (param $from i32) (param $height i32) (param $width i32) (param $to i32) (param $rows i32) (param $columns i32)
    (param $line i32) (param $line_step i32) (param $left i32) (param $step i32)
    (local $line_from i32) (local $at i32) (local $to_end i32)
    (loop $lines
      (local.set $to_end (i32.add (local.get $to) (i32.shl (local.get $columns) (i32.const 2))))
      ;; Unsigned, what is negative is large.
      (if (i32.ge_u (local.get $line) (local.get $height))
        (then (memory.fill (local.get $to) (i32.const 0) (i32.shl (local.get $columns) (i32.const 2))))
        (else
          (local.set $line_from
            (i32.add
              (local.get $from)
              (i32.shl (i32.mul (local.get $line) (local.get $width)) (i32.const 2))))
          (local.set $at (local.get $left))
          (loop $numbers
            (f32.store
              (local.get $to)
              (if (result f32) (i32.lt_u (local.get $at) (local.get $width))
                (then (f32.load (i32.add (local.get $line_from) (i32.shl (local.get $at) (i32.const 2)))))
                (else (f32.const 0))))
            (local.set $at (i32.add (local.get $at) (local.get $step)))
            (local.set $to (i32.add (local.get $to) (i32.const 4)))
            (br_if $numbers (i32.lt_u (local.get $to) (local.get $to_end))))))
      (local.set $to (local.get $to_end))
      (local.set $line (i32.add (local.get $line) (local.get $line_step)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $lines (local.get $rows))))

  ;; Numbers in 8 bits [rows, n] as floats, each times the scale of its row, or of its column.
  (func (export "scale")
    (param $from i32) (param $to i32) (param $rows i32) (param $n i32) (param $scales i32) (param $by_column i32)
    (local $at i32) (local $to_at i32) (local $to_end i32) (local $of_row i32) (local $of_column i32)
    (local.set $of_row (local.get $scales))
    (loop $each_row
      (local.set $at (local.get $from))
      (local.set $to_at (local.get $to))
      (local.set $to_end (i32.add (local.get $to) (i32.shl (local.get $n) (i32.const 2))))
      (local.set $of_column (local.get $scales))
      (loop $columns
        (v128.store (local.get $to_at)
          (f32x4.mul
            (f32x4.convert_i32x4_s
              (i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_s (v128.load32_zero (local.get $at)))))
            (select (result v128)
              (v128.load (local.get $of_column))
              (v128.load32_splat (local.get $of_row))
              (local.get $by_column))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (local.set $of_column (i32.add (local.get $of_column) (i32.const 16)))
        (local.set $to_at (i32.add (local.get $to_at) (i32.const 16)))
        (br_if $columns (i32.lt_u (local.get $to_at) (local.get $to_end))))
      (local.set $from (i32.add (local.get $from) (local.get $n)))
      (local.set $of_row (i32.add (local.get $of_row) (i32.const 4)))
      (local.set $to (local.get $to_end))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $each_row (local.get $rows))))

  ;; Numbers in half precision as floats: their exponent and mantissa, 13 bits higher, are a float's that is 2^112 as
  ;; small.
  (func (export "halves") (param $from i32) (param $to i32) (param $to_end i32)
    (local $four v128)
    (loop $fours
      (local.set $four (v128.load16x4_u (local.get $from)))
      (v128.store (local.get $to)
        (v128.or
          (i32x4.shl (v128.and (local.get $four) (i32x4.splat (i32.const 0x8000))) (i32.const 16))
          (f32x4.mul
            (i32x4.shl (v128.and (local.get $four) (i32x4.splat (i32.const 0x7fff))) (i32.const 13))
            (f32x4.splat (f32.const 0x1p112)))))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (br_if $fours (i32.lt_u (local.get $to) (local.get $to_end)))))

  ;; The numbers of a text in 8 bits, from `to` to `end`, as `unpacked` of packed_int8.ts reads them. Behind the 4096
  ;; slots lie the digits of codes.
  (func (export "decode") (param $codes i32) (param $to i32) (param $end i32) (param $state i32) (param $slots i32)
    (local $slot i32)
    (loop $numbers
      (local.set $slot
        (i32.load
          (i32.add
            (local.get $slots)
            (i32.shl (i32.and (local.get $state) (i32.const 4095)) (i32.const 2)))))
      (i32.store8 (local.get $to) (local.get $slot))
      (local.set $state
        (i32.add
          (i32.mul
            (i32.add (i32.shr_u (local.get $slot) (i32.const 20)) (i32.const 1))
            (i32.shr_u (local.get $state) (i32.const 12)))
          (i32.and (i32.shr_u (local.get $slot) (i32.const 8)) (i32.const 4095))))
      (block $enough (loop $digits
        (br_if $enough (i32.ge_u (local.get $state) (i32.const 0x100000)))
        (local.set $state
          (i32.add
            (i32.mul (local.get $state) (i32.const 92))
            (i32.load8_u offset=16384 (i32.add (local.get $slots) (i32.load8_u (local.get $codes))))))
        (local.set $codes (i32.add (local.get $codes) (i32.const 1)))
        (br $digits)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br_if $numbers (i32.lt_u (local.get $to) (local.get $end)))))
)
