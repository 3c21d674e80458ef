/* What a photo says of itself: read from a JPEG, and written anew with nothing else in it (Exif 2.32, JEITA CP-3451). */
"use strict";
const Exif = (() => {
  const SIZES = { 2: 1, 3: 2, 4: 4, 5: 8 }; // ASCII, SHORT, LONG, RATIONAL: bytes of one

  /* {time, offset, orientation, place}; what is not there, or cannot be read, is missing. */
  function read(buffer) {
    try {
      const tiff = segment(new DataView(buffer));
      return tiff ? told(tiff) : {};
    } catch (error) {
      return {}; // a broken header costs the time of the photo, not the photo
    }
  }

  /* The same picture with a header that holds `kept` and nothing more: no maker, no serial number, no thumbnail. */
  function replace(buffer, kept) {
    const bytes = new Uint8Array(buffer), parts = [bytes.slice(0, 2), header(kept)];
    let at = 2;
    while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
      const marker = bytes[at + 1], next = at + 2 + (bytes[at + 2] << 8) + bytes[at + 3];
      const says = (marker >= 0xe1 && marker <= 0xef && marker !== 0xe2 && marker !== 0xee) || marker === 0xfe;
      if (!says) parts.push(bytes.slice(at, next)); // APP2 is the colour profile, APP14 the colour transform
      at = next;
    }
    parts.push(bytes.slice(at));
    return new Blob(parts, { type: "image/jpeg" }).arrayBuffer();
  }

  function segment(view) {
    if (view.getUint16(0) !== 0xffd8) return null;
    for (let at = 2; at + 10 < view.byteLength && view.getUint8(at) === 0xff; ) {
      const size = view.getUint16(at + 2);
      if (view.getUint16(at) === 0xffe1 && view.getUint32(at + 4) === 0x45786966)
        return new DataView(view.buffer, at + 10, Math.min(size - 8, view.byteLength - at - 10));
      if (view.getUint16(at) === 0xffda) return null;
      at += 2 + size;
    }
    return null;
  }

  function told(tiff) {
    const little = tiff.getUint16(0) === 0x4949;
    const first = entries(tiff, tiff.getUint32(4, little), little);
    const found = {};
    if (first[0x0112]) found.orientation = tiff.getUint16(first[0x0112].at, little);
    if (first[0x8769]) {
      const exif = entries(tiff, tiff.getUint32(first[0x8769].at, little), little);
      if (exif[0x9003]) found.time = text(tiff, exif[0x9003]);
      if (exif[0x9011]) found.offset = text(tiff, exif[0x9011]);
    }
    if (first[0x8825]) {
      const gps = entries(tiff, tiff.getUint32(first[0x8825].at, little), little);
      if (gps[1] && gps[2] && gps[3] && gps[4])
        found.place = [text(tiff, gps[1]), numbers(tiff, gps[2], little), text(tiff, gps[3]), numbers(tiff, gps[4], little)];
    }
    return found;
  }

  function entries(tiff, at, little) {
    const found = {};
    for (let n = tiff.getUint16(at, little), one = at + 2; n > 0; n--, one += 12) {
      const count = tiff.getUint32(one + 4, little), size = (SIZES[tiff.getUint16(one + 2, little)] || 0) * count;
      found[tiff.getUint16(one, little)] = { count, at: size > 4 ? tiff.getUint32(one + 8, little) : one + 8 };
    }
    return found;
  }

  function text(tiff, { at, count }) {
    let said = "";
    for (let n = 0; n < Math.min(count, 64); n++) {
      const code = tiff.getUint8(at + n);
      if (!code) break;
      said += String.fromCharCode(code);
    }
    return said;
  }

  function numbers(tiff, { at, count }, little) {
    return Array.from({ length: Math.min(count, 3) * 2 }, (_, n) => tiff.getUint32(at + 4 * n, little));
  }

  function header({ time, offset, orientation, place }) {
    const first = [], exif = [], gps = [];
    if (orientation > 1 && orientation < 9) first.push([0x0112, 3, 1, [orientation >> 8, orientation & 255]]);
    if (time) exif.push([0x9003, 2, time.length + 1, letters(time)]);
    if (time && offset) exif.push([0x9011, 2, offset.length + 1, letters(offset)]);
    if (place)
      gps.push([1, 2, 2, letters(place[0].slice(0, 1))], [2, 5, 3, longs(place[1])],
               [3, 2, 2, letters(place[2].slice(0, 1))], [4, 5, 3, longs(place[3])]);
    const size = (list) => list.length ? 6 + 12 * list.length + list.reduce((n, e) => n + kept(e), 0) : 0;
    const pointers = (exif.length ? 1 : 0) + (gps.length ? 1 : 0);
    const exifAt = 8 + 6 + 12 * (first.length + pointers);
    if (exif.length) first.push([0x8769, 4, 1, longs([exifAt])]);
    if (gps.length) first.push([0x8825, 4, 1, longs([exifAt + size(exif)])]);
    const tiff = [0x4d, 0x4d, 0, 42, ...longs([8]), ...directory(first, 8), ...directory(exif, exifAt),
                  ...directory(gps, exifAt + size(exif))];
    const length = tiff.length + 8;
    return new Uint8Array([0xff, 0xe1, length >> 8, length & 255, 0x45, 0x78, 0x69, 0x66, 0, 0, ...tiff]);
  }

  function directory(list, at) {
    if (!list.length) return [];
    const rows = [list.length >> 8, list.length & 255], data = [];
    const begins = at + 6 + 12 * list.length;
    for (const [tag, kind, count, value] of list) {
      const isShort = value.length <= 4;
      rows.push(tag >> 8, tag & 255, 0, kind, ...longs([count]));
      rows.push(...(isShort ? [...value, 0, 0, 0].slice(0, 4) : longs([begins + data.length])));
      if (!isShort) data.push(...value, ...(value.length % 2 ? [0] : []));
    }
    return [...rows, 0, 0, 0, 0, ...data];
  }

  const kept = ([, , , value]) => (value.length > 4 ? value.length + (value.length % 2) : 0);
  const letters = (said) => [...said, "\0"].map((letter) => letter.charCodeAt(0) & 127);
  const longs = (list) => list.flatMap((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);

  return { read, replace };
})();
