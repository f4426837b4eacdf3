// Every word of the page, in English and Chinese, and the choice between the two.

/** For a table: whole numbers at the ends. */
const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)}\u00a0%`;

/** For a sentence: never quite 0 or 100. */
const about = (share) => (share > 0.9995 ? ">\u00a099.9\u00a0%" : share < 0.0005 ? "<\u00a00.1\u00a0%" : percent(share));

const english = {
  tag: "en",
  other: { name: "中文", tag: "zh-CN" },
  title: "mnist_lit · draw a digit",
  tagline: "Draw a digit and watch the network think.",
  dark: "Dark",
  board: "Drawing board",
  tools: "Tools",
  hint: "Draw a digit here, or several",
  drop: "Drop the photo here",
  undo: "Undo",
  clear: "Clear",
  upload: "Read a photo…",
  back: "Back",
  keys: "Keys: arrows move the pen, space lowers and lifts it, Ctrl+Z undoes, Esc clears, Ctrl+V reads a copied picture.",
  answer: "Answer",
  numbers: "What was read",
  bars: "Probability of each digit",
  sees: "What the network sees",
  looked: "Where it looked",
  nothing: "Nothing drawn yet.",
  noInk: "No ink found.",
  noDigits: "No digits found.",
  reading: "Reading…",
  penDown: "Pen down",
  penUp: "Pen up",
  cleared: "Cleared",
  percent,
  verdict: (sure) => (sure >= 0.85 ? "That is clear." : sure >= 0.5 ? "Quite likely." : "Hard to tell."),
  confidence: (share) => `${about(share)} sure`,
  perhaps: (digit, share) => `perhaps ${digit}, ${about(share)}`,
  second: (digit, share) => `second guess ${digit}, ${about(share)}`,
  spoken: (digit, share, second) =>
    `The network says ${digit}, ${Math.round(100 * share)} percent sure. Second guess: ${second}.`,
  spokenUnsure: (digit, share, second) => `The network cannot tell; perhaps ${digit}, perhaps ${second}.`,
  spokenSeveral: (count, text) => `${count} digits: ${text}`,
  chip: (digit, share) =>
    digit === "?" ? "unreadable digit" : `digit ${digit}, ${Math.round(100 * share)} percent sure`,
  bar: (digit) => `Digit ${digit}`,
  input: "28 × 28 pixels, placed as in MNIST",
  pictureOf: (name) => `Picture for the network: ${name}`,
  heat: "bright: what the answer rests on",
  noHeat: "an ONNX model cannot tell",
  heatOf: (digit) => `The digit; the places that spoke most for ${digit} are bright`,
  photoOf: (text) => (text ? `Photo, read as ${text}` : "Photo"),
  filters: {},
  errors: {
    network: "No answer: the program that serves this page has stopped.",
    large: "This file is larger than 10 MiB; make it smaller.",
    type: "This is not a picture that can be read; use PNG, JPEG, BMP, GIF, TIFF or WebP.",
    full: "There is too much in this picture to be a page of numbers; crop it to the numbers.",
    other: "The request was not accepted.",
  },
};

const chinese = {
  tag: "zh-CN",
  other: { name: "English", tag: "en" },
  title: "mnist_lit · 手写数字",
  tagline: "写一个数字，看神经网络如何思考。",
  dark: "深色",
  board: "画板",
  tools: "工具",
  hint: "在这里写一个或几个数字",
  drop: "把照片放到这里",
  undo: "撤销",
  clear: "清除",
  upload: "识别照片…",
  back: "返回",
  keys: "键盘：方向键移动画笔，空格键落笔或抬笔，Ctrl+Z 撤销，Esc 清除，Ctrl+V 识别复制的图片。",
  answer: "答案",
  numbers: "识别结果",
  bars: "每个数字的概率",
  sees: "网络看到的图像",
  looked: "网络关注的位置",
  nothing: "还没有写数字。",
  noInk: "没有找到笔迹。",
  noDigits: "没有找到数字。",
  reading: "正在识别…",
  penDown: "落笔",
  penUp: "抬笔",
  cleared: "已清除",
  percent,
  verdict: (sure) => (sure >= 0.85 ? "很清楚。" : sure >= 0.5 ? "很可能。" : "难以判断。"),
  confidence: (share) => `把握 ${about(share)}`,
  perhaps: (digit, share) => `也许是 ${digit}，${about(share)}`,
  second: (digit, share) => `其次是 ${digit}，${about(share)}`,
  spoken: (digit, share, second) => `网络的答案是 ${digit}，把握百分之 ${Math.round(100 * share)}。其次是 ${second}。`,
  spokenUnsure: (digit, share, second) => `网络无法判断：也许是 ${digit}，也许是 ${second}。`,
  spokenSeveral: (count, text) => `共 ${count} 个数字：${text}`,
  chip: (digit, share) => (digit === "?" ? "无法辨认的数字" : `数字 ${digit}，把握百分之 ${Math.round(100 * share)}`),
  bar: (digit) => `数字 ${digit}`,
  input: "28 × 28 像素，按 MNIST 摆放",
  pictureOf: (name) => `送入网络的图像：${name}`,
  heat: "越亮，对答案的影响越大",
  noHeat: "ONNX 模型无法给出",
  heatOf: (digit) => `数字图像；最支持答案 ${digit} 的位置最亮`,
  photoOf: (text) => (text ? `照片，识别为 ${text}` : "照片"),
  filters: {
    gaussian: "高斯模糊",
    box: "均值模糊",
    median: "中值滤波",
    bilateral: "双边滤波",
    non_local_means: "非局部均值",
    unsharp: "锐化",
    laplacian: "拉普拉斯",
    sobel: "Sobel 边缘",
    scharr: "Scharr 边缘",
    local_contrast: "局部对比度",
    erode: "腐蚀",
    dilate: "膨胀",
    open: "开运算",
    close: "闭运算",
    top_hat: "顶帽",
    threshold: "阈值",
    otsu_threshold: "大津阈值",
    adaptive_threshold: "自适应阈值",
    clahe: "CLAHE 均衡",
    equalize_hist: "直方图均衡",
    gamma: "伽马校正",
    invert: "反色",
    deskew: "倾斜校正",
    center: "居中",
    random_gaussian: "随机高斯模糊",
  },
  errors: {
    network: "没有回应：提供此页面的程序已停止。",
    large: "文件超过 10 MiB，请缩小后再试。",
    type: "无法读取这种文件；请使用 PNG、JPEG、BMP、GIF、TIFF 或 WebP 图片。",
    full: "图中内容太多，不像一页数字；请裁剪到只剩数字的部分。",
    image: "无法读取这张图片：文件损坏、不完整、尺寸不合适，或格式不受支持。",
    busy: "服务器正忙，请稍后再试。",
    slow: "图片没有及时送达，请再试一次。",
    internal: "程序内部出错，与您的输入无关。",
    other: "请求未被接受。",
  },
};

const languages = { en: english, zh: chinese };

function remembered() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}

function preferred() {
  const first = (navigator.languages ?? [navigator.language]).find((tag) => /^(en|zh)\b/i.test(tag)) ?? "en";
  return first.toLowerCase().startsWith("zh") ? "zh" : "en";
}

let current = languages[remembered()] ?? languages[preferred()];

/** The texts of the language that is shown. */
export const texts = () => current;

/** Put the current language into everything that carries a `data-text` or `data-label`. */
export function fillIn() {
  document.documentElement.lang = current.tag;
  document.title = current.title;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = current[element.dataset.text];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", current[element.dataset.label]);
  }
  const button = document.getElementById("language");
  button.textContent = current.other.name;
  button.lang = current.other.tag;
}

/** Change to the other language and remember it. */
export function switchLanguage() {
  current = current === english ? chinese : english;
  try {
    localStorage.setItem("language", current === english ? "en" : "zh");
  } catch {
    // storage is off: the choice holds until the page is closed
  }
  fillIn();
}
