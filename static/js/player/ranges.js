// Bytes `start` to `end` (without it) of a file.
export async function part(url, start, end, signal) {
  const headers = { Range: `bytes=${start}-${end - 1}` };
  const response = await fetch(url, { headers, signal });
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  const bytes = await response.arrayBuffer();
  // A server that knows no ranges sends all of it.
  return response.status === 206 ? bytes : bytes.slice(start, end);
}
