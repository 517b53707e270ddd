import { h } from "../../page/dom.js";
import type { DemoInput, OnSample } from "../demo.js";

/** The side of the drawing in its own pixels: a whole number of times the image's. */
const SIDE = 560;

/** Which way the arrow keys move the pen. */
const ARROWS: Readonly<Record<string, readonly [x: number, y: number] | undefined>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** A canvas to draw on, by pointer or keys, that takes images by choosing, dropping and pasting. */
export function drawing(input: Extract<DemoInput, { kind: "image" }>, onSample: OnSample): HTMLElement[] {
  const { width, height, channels } = input;
  const times = Math.max(1, Math.round(SIDE / Math.max(width, height)));
  const canvas = h("canvas", { width: width * times, height: height * times, tabindex: 0 });
  canvas.setAttribute("aria-label", "Drawing. Arrow keys move the pen, space lowers and lifts it, Delete clears.");
  canvas.setAttribute("role", "img");
  const seen = h("canvas", { width, height, class: "seen", "aria-hidden": "true" });
  const [pen, small] = [contextOf(canvas), contextOf(seen)];
  const invert = h("input", { type: "checkbox", id: "invert" });
  const colour = h("input", { type: "color", id: "colour", value: "#ffffff" });
  /** The drawing, or an image as it came, that becomes the network's pixels. */
  let source: CanvasImageSource = canvas;
  /** The image that is being read; null after the user has drawn or cleared, which takes precedence over it. */
  let coming: Blob | null = null;
  let at = { x: canvas.width / 2, y: canvas.height / 2 };
  let isDown = false;

  const show = () => {
    small.imageSmoothingEnabled = true;
    small.imageSmoothingQuality = "high";
    paint(small, source);
    const image = small.getImageData(0, 0, width, height);
    if (invert.checked) {
      for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] = 255 - image.data[i];
      small.putImageData(image, 0, 0);
    }
    onSample(image);
  };
  const clear = () => {
    coming = null;
    paint(pen);
    source = canvas;
    show();
  };
  const lineTo = (to: { x: number; y: number }) => {
    coming = null;
    source = canvas;
    pen.strokeStyle = colour.value;
    pen.lineWidth = Math.max(canvas.width, canvas.height) / 12;
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(at.x, at.y);
    pen.lineTo(to.x, to.y);
    pen.stroke();
    at = to;
  };
  const dot = () => lineTo({ x: at.x + 0.1, y: at.y });
  const placeOf = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * canvas.width,
      y: ((event.clientY - box.top) / box.height) * canvas.height,
    };
  };
  const take = async (file: Blob | null | undefined) => {
    if (!file) return;
    const problem = h("p", { class: "problem", role: "alert" }, "This file is no image that the browser can read.");
    status.replaceChildren();
    coming = file;
    try {
      const image = await createImageBitmap(file);
      if (coming !== file) return image.close();
      // As predict does: the whole image, in the network's size.
      paint(pen, image);
      source = image;
      show();
    } catch {
      if (coming === file) status.replaceChildren(problem);
    }
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    isDown = true;
    at = placeOf(event);
    dot();
    show();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!isDown || !canvas.hasPointerCapture(event.pointerId)) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) lineTo(placeOf(part));
    show();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (isDown = false));
  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow !== undefined) {
      const step = canvas.width / 28;
      const moved = (x: number, by: number, most: number) => Math.min(Math.max(x + by * step, 0), most);
      const to = { x: moved(at.x, arrow[0], canvas.width), y: moved(at.y, arrow[1], canvas.height) };
      if (isDown) lineTo(to);
      else at = to;
    } else if (event.key === " ") {
      isDown = !isDown;
      if (isDown) dot();
    } else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    event.preventDefault();
    show();
  });
  const area = h("div", { class: "drawing" }, canvas);
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  document.addEventListener("drop", (event) => void take(event.dataTransfer?.files[0]));
  document.addEventListener("paste", (event) => void take(event.clipboardData?.files[0]));
  const chosen = h("input", { type: "file", accept: "image/*", id: "file", "aria-label": "Choose an image" });
  chosen.addEventListener("change", () => void take(chosen.files?.[0]));
  invert.addEventListener("change", show);
  const clearing = h("button", { type: "button" }, "Clear");
  clearing.addEventListener("click", clear);
  const status = h("div");
  const tools = [
    clearing,
    h("label", { class: "file button" }, "Choose an image", chosen),
    h("label", { class: "check" }, invert, "Invert"),
    ...(channels === 3 ? [h("label", { class: "check" }, colour, "Pen")] : []),
  ];
  const caption = `Draw, or drop or paste an image. The network sees ${width} x ${height} pixels:`;
  queueMicrotask(clear);
  return [area, h("div", { class: "tools" }, ...tools), h("p", { class: "hint" }, caption, seen), status];
}

/** Paints a canvas black, and then an image, which may be transparent. */
function paint(context: CanvasRenderingContext2D, image?: CanvasImageSource): void {
  const { width, height } = context.canvas;
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  if (image !== undefined) context.drawImage(image, 0, 0, width, height);
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser has no canvas");
  return context;
}
