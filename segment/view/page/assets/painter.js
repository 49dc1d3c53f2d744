// Draws surfaces with WebGL 2.

class SurfacePainter {
  /** `meshes` are {points, normals, corners}, or null for an absent organ. */
  constructor(gl, meshes) {
    this.gl = gl;
    this.program = programOf(gl);
    this.places = Object.fromEntries(['view', 'scale', 'shift', 'color', 'opacity'].map((uniform) => [
      uniform, gl.getUniformLocation(this.program, uniform),
    ]));
    this.meshes = meshes.map((mesh) => mesh && this.load(mesh));
  }

  load({ points, normals, corners }) {
    const { gl, program } = this;
    const mesh = gl.createVertexArray();
    gl.bindVertexArray(mesh);
    for (const [attribute, values] of [['place', points], ['normal', normals]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      const place = gl.getAttribLocation(program, attribute);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    return { mesh, count: corners.length };
  }

  /** Draw the shown organs; the one with the index `translucent` last, as a single layer above the others. */
  draw({ rows, scale, shift, organs, translucent }) {
    const { gl, places } = this;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(this.program);
    gl.uniformMatrix3fv(places.view, true, rows.flat());
    gl.uniform3fv(places.scale, scale);
    gl.uniform2fv(places.shift, shift);
    organs.forEach((organ, index) => { if (index !== translucent) this.drawOrgan(organ, index, 1); });
    if (translucent === null) return;
    gl.colorMask(false, false, false, false); // first the depth of its nearest layer
    this.drawOrgan(organs[translucent], translucent, 1);
    gl.colorMask(true, true, true, true);
    this.drawOrgan(organs[translucent], translucent, TRANSLUCENT);
  }

  drawOrgan(organ, index, opacity) {
    const { gl, places } = this;
    const loaded = this.meshes[index];
    if (!organ.shown || !loaded) return;
    gl.uniform3fv(places.color, [1, 3, 5].map((start) => parseInt(organ.color.slice(start, start + 2), 16) / 255));
    gl.uniform1f(places.opacity, opacity);
    gl.bindVertexArray(loaded.mesh);
    gl.drawElements(gl.TRIANGLES, loaded.count, gl.UNSIGNED_INT, 0);
  }

  close() {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

function programOf(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(gl.getProgramInfoLog(program) || 'its shaders cannot be linked');
  }
  return program;
}
