/* Photos made small enough for a bad network: long side at most 2048, the time of taking kept, the place only if wanted. */
"use strict";
const Photos = (() => {
  const LONG_SIDE = 2048, QUALITY = 0.85; // a number plate at 20 m stays readable; about 0.5 MB
  const KINDS = /^image\/(jpeg|png|webp|bmp|avif|hei[cf])$/;

  /* {name, type, data, same}: `same` says that the file goes as it is, with whatever its header tells. */
  async function ready(file, mayTellPlace) {
    const raw = await file.arrayBuffer();
    const same = { name: file.name, type: file.type, data: raw, same: true };
    if (!KINDS.test(file.type)) return same;
    const told = Exif.read(raw), kept = { time: told.time, offset: told.offset, place: mayTellPlace ? told.place : undefined };
    let picture;
    try {
      picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    } catch (error) {
      return same; // this browser cannot open it: better whole than not at all
    }
    try {
      const { width, height } = picture, scale = Math.min(1, LONG_SIDE / Math.max(width, height));
      if (scale === 1 && file.type === "image/jpeg")
        return { ...same, same: false, data: await Exif.replace(raw, { ...kept, orientation: told.orientation }) };
      const canvas = document.createElement("canvas");
      canvas.width = Math.max(1, Math.round(width * scale));
      canvas.height = Math.max(1, Math.round(height * scale));
      const drawn = canvas.getContext("2d");
      drawn.fillStyle = "#fff"; // where a PNG is transparent
      drawn.fillRect(0, 0, canvas.width, canvas.height);
      drawn.drawImage(picture, 0, 0, canvas.width, canvas.height);
      const small = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
      if (!small) return same;
      const data = await Exif.replace(await small.arrayBuffer(), kept);
      return { name: file.name.replace(/\.[A-Za-z0-9]{1,5}$/, "") + ".jpg", type: "image/jpeg", data, same: false };
    } finally {
      picture.close();
    }
  }

  /* {lat, lon, accuracy, at} as strings; rejects with "denied" or "none". */
  function position() {
    return new Promise((resolve, reject) => {
      if (!navigator.geolocation) return reject(new Error("none"));
      navigator.geolocation.getCurrentPosition(
        (found) => resolve(told(found)),
        (error) => reject(new Error(error.code === 1 ? "denied" : "none")),
        { enableHighAccuracy: true, timeout: 20000, maximumAge: 0 },
      );
    });
  }

  /* `heard({lat, lon, accuracy, at})` with each new position, for as long as the page is open. */
  function follow(heard) {
    if (navigator.geolocation)
      navigator.geolocation.watchPosition((found) => heard(told(found)), () => {}, { enableHighAccuracy: true, maximumAge: 0 });
  }

  const told = ({ coords, timestamp }) => ({
    lat: coords.latitude.toFixed(6), lon: coords.longitude.toFixed(6),
    accuracy: String(Math.round(coords.accuracy)), at: new Date(timestamp).toISOString(),
  });

  return { ready, position, follow };
})();
