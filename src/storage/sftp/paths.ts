/** Paths on the server, whatever system runs here. */

/** The folder that holds `path`; `/` and `.` hold themselves. */
export function folderOf(path: string): string {
  const at = path.lastIndexOf('/');
  if (at > 0) return path.slice(0, at);
  return at === 0 ? '/' : '.';
}

/** `name` in `folder`. */
export function inFolder(folder: string, name: string): string {
  if (name === '') return folder;
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`;
}

/** A root as the server is asked for it: no slash at its end, `.` for the folder where a login ends up. */
export function cleanRoot(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (path.startsWith('/')) return `/${parts.join('/')}`;
  return parts.length === 0 ? '.' : parts.join('/');
}
