(() => {
  "use strict";
  const root = document.documentElement;
  const find = (id) => document.getElementById(id);

  // Faults are counted in attributes of the root element, where tests and curious readers find them.
  const fault = (text) => {
    root.dataset.errors = Number(root.dataset.errors || 0) + 1;
    root.dataset.fault = String(text).slice(0, 300);
  };
  addEventListener("error", (event) => fault(event.message));
  addEventListener("unhandledrejection", (event) => fault(event.reason));
  addEventListener("securitypolicyviolation", (event) => fault("blocked: " + event.blockedURI));

  const place = find("viewer");
  if (!place) return;
  const index = JSON.parse(find("viewer-data").textContent);
  const names = ["input", "prediction", "truth"];
  const say = (text) => { find("viewer-status").textContent = text; };
  let library = null;
  let viewers = [];
  let work = Promise.resolve();

  const planes = () => {
    const types = library.SLICE_TYPE;
    return { multi: types.MULTIPLANAR, axial: types.AXIAL, coronal: types.CORONAL, sagittal: types.SAGITTAL };
  };
  const currentCase = () => index.cases[Number(find("viewer-case").value)];
  const volumeOf = (name) => currentCase().volumes.find((volume) => volume.name === name);

  const fillMethods = () => {
    const select = find("viewer-method");
    const before = select.value || index.method;
    const methods = currentCase().volumes.map((volume) => volume.name)
      .filter((name) => name !== index.input && name !== index.truth);
    select.replaceChildren(...methods.map((name) => new Option(name, name)));
    select.value = methods.includes(before) ? before : index.method;
  };

  const load = async (viewer, name, keepPlace) => {
    const image = await library.NVImage.loadFromBase64({
      base64: find(volumeOf(name).id).textContent, name: name + ".nii.gz", cal_min: 0, cal_max: 1,
    });
    image.cal_min = 0;
    image.cal_max = 1;
    const at = keepPlace && viewer.volumes.length ? viewer.frac2mm(viewer.scene.crosshairPos) : null;
    while (viewer.volumes.length) viewer.removeVolumeByIndex(0);
    viewer.addVolume(image);
    if (at) viewer.scene.crosshairPos = viewer.mm2frac(at);
    viewer.drawScene();
  };

  const resetView = () => {
    for (const viewer of viewers) {
      viewer.scene.crosshairPos = [0.5, 0.5, 0.5];
      viewer.scene.pan2Dxyzmm = [0, 0, 0, 1];
    }
    viewers[2].scene.crosshairPos = [0.62, 0.5, 0.5];  // beside the midline, where there is more tissue
    const at = viewers[2].frac2mm(viewers[2].scene.crosshairPos);
    for (const viewer of viewers) {
      viewer.scene.crosshairPos = viewer.mm2frac(at);
      viewer.drawScene();
      viewer.createOnLocationChange();
    }
  };

  const showMethod = async () => {
    const method = find("viewer-method").value;
    find("title-prediction").textContent = method;
    await load(viewers[1], method, true);
    viewers[1].createOnLocationChange();
  };

  const showCase = async () => {
    delete root.dataset.ready;
    say("Loading …");
    fillMethods();
    find("title-prediction").textContent = find("viewer-method").value;
    const shown = [index.input, find("viewer-method").value, index.truth];
    for (const [k, viewer] of viewers.entries()) await load(viewer, shown[k], false);
    resetView();
    say("");
    root.dataset.ready = viewers.filter((viewer) => viewer.volumes.length === 1).length;
  };

  const start = async () => {
    const probe = document.createElement("canvas").getContext("webgl2");
    if (!probe) {
      say("This browser shows no WebGL2, which the viewer needs. Try another browser, or turn on its graphics " +
        "acceleration; the panels below need neither.");
      root.dataset.ready = "no WebGL2";
      return;
    }
    say("Loading …");
    const code = document.createElement("script");
    code.textContent = find("niivue-code").textContent;
    document.head.append(code);
    code.remove();
    library = globalThis.niivue;
    if (!library) throw new Error("the viewer's code is not niivue.umd.js");
    for (const name of names) {
      const viewer = new library.Niivue({
        backColor: [0, 0, 0, 1], crosshairColor: [0.25, 0.75, 1, 0.7], crosshairWidth: 0.8, crosshairWidthUnit: "mm",
        isRadiologicalConvention: true, sagittalNoseLeft: true, isNearestInterpolation: true, isColorbar: false,
        show3Dcrosshair: false, multiplanarShowRender: 0, multiplanarLayout: 2, dragMode: PAN,
        dragAndDropEnabled: false, logLevel: "error", loadingText: "", fontMinPx: 14,
      });
      viewer.onLocationChange = (data) => {
        const value = data.values && data.values.length ? data.values[0].value : NaN;
        find("value-" + name).textContent = Number.isFinite(value) ? value.toFixed(3) : "";
      };
      await viewer.attachToCanvas(find("canvas-" + name), true);
      tame(viewer, find("canvas-" + name));
      viewer.setSliceType(planes()[find("viewer-plane").value]);
      viewers.push(viewer);
    }
    for (const viewer of viewers) {
      viewer.broadcastTo(viewers.filter((other) => other !== viewer), { "2d": true, "3d": false });
    }
    await showCase();
  };

  // The wheel scrolls the page until a picture was clicked; then it goes through slices, with Ctrl it zooms. A double
  // click would change the gray scale of one picture alone.
  const PAN = 3;
  const tame = (viewer, canvas) => {
    const screen = canvas.parentElement;
    let active = false;
    addEventListener("pointerdown", (event) => { active = screen.contains(event.target); });
    screen.addEventListener("mousedown", () => { viewer.opts.dragMode = PAN; }, true);
    screen.addEventListener("dblclick", (event) => event.stopPropagation(), true);
    screen.addEventListener("wheel", (event) => {
      if (!active) event.stopPropagation();
      viewer.opts.dragMode = event.ctrlKey ? PAN : 0;
    }, { capture: true, passive: true });
  };

  const then = (job) => {
    work = work.then(job).catch((error) => {
      say("The viewer could not go on: " + error.message);
      fault(error.message);
    });
  };
  const whenStarted = (id, type, job) => find(id).addEventListener(type, () => { if (viewers.length) then(job); });
  whenStarted("viewer-case", "change", showCase);
  whenStarted("viewer-method", "change", showMethod);
  whenStarted("viewer-reset", "click", resetView);
  whenStarted("viewer-plane", "change", () => {
    for (const viewer of viewers) viewer.setSliceType(planes()[find("viewer-plane").value]);
  });
  whenStarted("viewer-smooth", "change", () => {
    for (const viewer of viewers) viewer.setInterpolation(!find("viewer-smooth").checked);
  });

  let begun = false;
  const beginWhenSeen = () => {
    const box = place.getBoundingClientRect();
    if (begun || box.top > innerHeight + 200 || box.bottom < -200) return;
    begun = true;
    then(start);
  };
  fillMethods();
  setTimeout(beginWhenSeen, 50);  // the page is painted first
  for (const type of ["load", "scroll", "resize"]) addEventListener(type, beginWhenSeen, { passive: true });
})();
