/** When a test cannot run: passed as its options. */

const NOT_ROOT = process.getuid?.() !== 0 && 'only root may give files to others';

export const asRoot: { readonly skip: string | false } = { skip: NOT_ROOT };

export const onLinux: { readonly skip: string | false } = {
  skip: process.platform !== 'linux' && 'entries are addressed by descriptors on Linux only',
};
