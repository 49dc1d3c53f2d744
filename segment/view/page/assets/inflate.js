// Unpacks zlib data: by the browser, or by the small decoder below in browsers without DecompressionStream.

/** Bytes of a base64 text. */
function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** The `size` bytes that were packed by zlib. */
async function unpack(bytes, size) {
  if (typeof DecompressionStream === 'undefined') return inflate(bytes, size);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  const unpacked = new Uint8Array(await new Response(stream).arrayBuffer());
  if (unpacked.length !== size) throw new Error(`${unpacked.length} bytes instead of ${size}`);
  return unpacked;
}

// RFC 1951, 3.2.5: base and number of extra bits of each length and distance code.
const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCES = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
  4097, 6145, 8193, 12289, 16385, 24577];
const DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]; // 3.2.7

/** Decode zlib data (RFC 1950, 1951) of a known unpacked size. */
function inflate(bytes, size) {
  const out = new Uint8Array(size);
  let position = 2; // after the zlib header
  let written = 0;
  let held = 0; // bits that were read and not used yet
  let count = 0;

  function bits(wanted) {
    while (count < wanted) {
      if (position >= bytes.length) throw new Error('the packed data ends too early');
      held |= bytes[position] << count;
      position += 1;
      count += 8;
    }
    const value = held & ((1 << wanted) - 1);
    held >>>= wanted;
    count -= wanted;
    return value;
  }

  /** Canonical Huffman code: number of codes of each length, and the symbols in order. */
  function huffman(lengths) {
    const counts = new Uint16Array(16);
    for (const length of lengths) counts[length] += 1;
    counts[0] = 0;
    const next = new Uint16Array(16);
    for (let length = 1; length < 16; length += 1) next[length] = next[length - 1] + counts[length - 1];
    const symbols = new Uint16Array(lengths.length);
    lengths.forEach((length, symbol) => {
      if (length) {
        symbols[next[length]] = symbol;
        next[length] += 1;
      }
    });
    return { counts, symbols };
  }

  function symbolOf({ counts, symbols }) {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length < 16; length += 1) {
      code |= bits(1);
      if (code - counts[length] < first) return symbols[index + code - first];
      index += counts[length];
      first = (first + counts[length]) << 1;
      code <<= 1;
    }
    throw new Error('the packed data is damaged');
  }

  function dynamicCodes() {
    const literals = bits(5) + 257;
    const distances = bits(5) + 1;
    const orders = bits(4) + 4;
    const orderLengths = new Array(19).fill(0);
    for (let i = 0; i < orders; i += 1) orderLengths[ORDER[i]] = bits(3);
    const code = huffman(orderLengths);
    const lengths = [];
    while (lengths.length < literals + distances) {
      const symbol = symbolOf(code);
      if (symbol < 16) lengths.push(symbol);
      else if (symbol === 16) lengths.push(...new Array(3 + bits(2)).fill(lengths.at(-1)));
      else lengths.push(...new Array(symbol === 17 ? 3 + bits(3) : 11 + bits(7)).fill(0));
    }
    return [huffman(lengths.slice(0, literals)), huffman(lengths.slice(literals))];
  }

  function fixedCodes() {
    const lengths = [[144, 8], [112, 9], [24, 7], [8, 8]].flatMap(([many, length]) => new Array(many).fill(length));
    return [huffman(lengths), huffman(new Array(30).fill(5))];
  }

  function copyBlock([literal, distance]) {
    for (;;) {
      const symbol = symbolOf(literal);
      if (symbol === 256) return;
      if (symbol < 256) {
        out[written] = symbol;
        written += 1;
        continue;
      }
      const length = LENGTHS[symbol - 257] + bits(LENGTH_BITS[symbol - 257]);
      const code = symbolOf(distance);
      const from = written - DISTANCES[code] - bits(DISTANCE_BITS[code]);
      for (let i = 0; i < length; i += 1) out[written + i] = out[from + i];
      written += length;
    }
  }

  let last = false;
  while (!last) {
    last = bits(1) === 1;
    const kind = bits(2);
    if (kind === 0) {
      held = 0; // a stored block starts at a byte
      count = 0;
      const length = bytes[position] | (bytes[position + 1] << 8);
      out.set(bytes.subarray(position + 4, position + 4 + length), written);
      position += 4 + length;
      written += length;
    } else if (kind === 1) copyBlock(fixedCodes());
    else copyBlock(dynamicCodes());
  }
  if (written !== size) throw new Error(`${written} bytes instead of ${size}`);
  return out;
}
