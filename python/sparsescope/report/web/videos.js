// Dense and sparse videos side by side: a strip of frames each, moved by a slider.

function startVideos() {
  if (!DATA.videos.length) return;
  const view = byId("view-videos");
  const tools = element("div", { class: "toolbar" });
  const strips = element("div", { class: "strips" });
  const slider = element("input", { type: "range", id: "frame", min: 0, step: 1, oninput: () =>
    select({ frame: Number(slider.value) }) });
  const at = element("output", { for: "frame" });
  const play = element("button", { type: "button", "aria-pressed": "false", onclick: () => toggle() },
    "Play");
  tools.append(chooser("Prompt", DATA.videos.map((video, i) => [i, `${video.prompt}: ${video.words}`]),
    state.video, (value) => select({ video: Number(value) })),
    element("label", { for: "frame" }, "Frame ", at), slider, play);
  view.append(element("p", { class: "lead" }, DATA.terms.videos.sentence, helpButton("videos")), tools,
    strips);
  let timer = 0;
  const toggle = () => {
    timer = timer ? clearInterval(timer) || 0 : setInterval(() =>
      select({ frame: (state.frame + 1) % DATA.videos[state.video].numbers.length }), 160);
    play.setAttribute("aria-pressed", String(Boolean(timer)));
    play.textContent = timer ? "Stop" : "Play";
  };
  const update = (changed) => {
    if (changed.has("video")) strips.replaceChildren(...videoStrips(DATA.videos[state.video]));
    if (!changed.has("video") && !changed.has("frame")) return;
    const video = DATA.videos[state.video];
    const frame = Math.min(state.frame, video.numbers.length - 1);
    slider.max = video.numbers.length - 1;
    slider.value = frame;
    at.textContent = `${video.numbers[frame]}`;
    for (const image of strips.querySelectorAll(".frame-image")) image.style.backgroundPositionY =
      `${(100 * frame) / Math.max(1, video.numbers.length - 1)}%`;
  };
  onSelect(update);
  update(new Set(["video"]));
}

function videoStrips(video) {
  const kinds = [["dense", "Dense"], ["sparse", "Sparse"], ["difference", "Difference x 4"]];
  return kinds.map(([kind, name]) => {
    const image = element("div", { class: "frame-image", role: "img",
      "aria-label": `${name} video of prompt ${video.prompt}: ${video.words}` });
    image.style.backgroundImage = `url(${video[kind]})`;
    image.style.backgroundSize = `100% ${100 * video.numbers.length}%`;
    image.style.aspectRatio = `${video.width} / ${video.height}`;
    return element("figure", {}, image, element("figcaption", {}, name));
  });
}
