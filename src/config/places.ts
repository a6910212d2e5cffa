/** Where a value stands in its file. */
export interface Place {
  readonly line: number;
  readonly column: number;
  readonly path: string;
}

/** Remembers where the sections that were read, and each of their properties, stand. */
export class Places {
  readonly #sections = new WeakMap<object, Place>();
  readonly #properties = new WeakMap<object, Map<string, Place>>();

  setSection(section: object, place: Place): void {
    this.#sections.set(section, place);
  }

  set(section: object, property: string, place: Place): void {
    const properties = this.#properties.get(section) ?? new Map<string, Place>();
    this.#properties.set(section, properties.set(property, place));
  }

  /** True when the file has the property, even if its value could not be read. */
  has(section: object, property: string): boolean {
    return this.#properties.get(section)?.has(property) ?? false;
  }

  /** The property's place, else its section's, else the file's beginning. */
  of(section: object, property?: string): Place {
    const own = property === undefined ? undefined : this.#properties.get(section)?.get(property);
    return own ?? this.#sections.get(section) ?? { line: 1, column: 1, path: '' };
  }
}
