/** Packages that only some destinations need, and that people install when they use one. */
import { RivuletError, isRivuletError, messageOf, systemCode } from '../base/errors.ts';

export interface OptionalPackage {
  readonly name: string;
  /** The version that Rivulet is tested with, for the install command. */
  readonly version: string;
  /** For people, as in "Azure Blob Storage". */
  readonly usedFor: string;
}

/**
 * Loads a package that may not be there.
 *
 * @param load - `() => import('the-package')`: written out where it is used, so that its types are known there
 * @throws RivuletError `PACKAGE_MISSING` with the install command; anything else that goes wrong in loading as it is
 */
export async function loadOptional<T>(wanted: OptionalPackage, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (isRivuletError(error) || !isMissing(error, wanted.name)) throw error;
    const { name, version, usedFor } = wanted;
    throw new RivuletError(
      'PACKAGE_MISSING',
      `${usedFor} needs the package ${name}, which is not installed`,
      {
        cause: error,
        hint: `npm install ${name}@${version}`,
        details: { package: name, version },
      },
    );
  }
}

/** A package that is there and lacks one of its own files or packages is broken, which reinstalling it repairs too. */
function isMissing(error: unknown, name: string): boolean {
  const code = systemCode(error);
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return false;
  return messageOf(error).includes(`'${name}'`);
}
