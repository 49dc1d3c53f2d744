// Volumes of the page: voxels as levels or classes, with indices that grow towards Left, Posterior and Inferior.

// The axes of a picture across each axis: columns and rows. No picture needs a flip: the patient's right is on the left.
const PICTURE_AXES = [[1, 2], [0, 2], [0, 1]];

/** Voxels (Uint8Array, first axis fastest) of a packed volume. */
async function readVolume(blob, shape) {
  const size = shape[0] * shape[1] * shape[2];
  const voxels = await unpack(bytesOf(document.getElementById(blob).textContent), size);
  let value = 0; // packed as differences, see volume.py
  for (let i = 0; i < size; i += 1) {
    value = (value + voxels[i]) & 255;
    voxels[i] = value;
  }
  return voxels;
}

/** A plane across `axis` as a picture: `values` by rows, `width` and `height`. */
function planeOf(voxels, shape, axis, index) {
  const steps = [1, shape[0], shape[0] * shape[1]];
  const [across, down] = PICTURE_AXES[axis];
  const [width, height] = [shape[across], shape[down]];
  const values = new Uint8Array(width * height);
  let target = 0;
  for (let row = 0; row < height; row += 1) {
    let source = index * steps[axis] + row * steps[down];
    for (let column = 0; column < width; column += 1) {
      values[target] = voxels[source];
      target += 1;
      source += steps[across];
    }
  }
  return { values, width, height };
}

/** The voxel in the middle of the axial plane that shows most of the organs; the middle of the scan if there are none. */
function startOf(classes, shape) {
  const area = shape[0] * shape[1];
  const counts = Array.from({ length: shape[2] }, (_, k) => {
    let found = 0;
    for (let i = k * area; i < (k + 1) * area; i += 1) if (classes[i]) found += 1;
    return found;
  });
  const most = Math.max(...counts);
  if (!most) return shape.map((length) => Math.floor(length / 2));
  const k = counts.indexOf(most);
  let [sumI, sumJ] = [0, 0];
  for (let j = 0; j < shape[1]; j += 1) {
    for (let i = 0; i < shape[0]; i += 1) {
      if (classes[k * area + j * shape[0] + i]) [sumI, sumJ] = [sumI + i, sumJ + j];
    }
  }
  return [Math.round(sumI / most), Math.round(sumJ / most), k];
}

/** RAS+ mm of a voxel. */
function millimeters(affine, voxel) {
  return [0, 1, 2].map((row) => affine[row][3] + voxel.reduce((sum, index, axis) => sum + affine[row][axis] * index, 0));
}
