/** `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME`, which the service takes in place of a bucket's name. */
const ACCESS_POINT = /^arn:aws[\w-]*:s3:(?<region>[a-z0-9-]+):\d{12}:accesspoint[/:](?<name>[^/]+)$/;

/** The region of an access point's ARN; undefined for the name of a bucket. */
export function regionOfAccessPoint(bucket: string): string | undefined {
  return ACCESS_POINT.exec(bucket)?.groups?.['region'];
}

/**
 * Splits `ARN/path`, as it stands after `s3://`.
 *
 * @returns undefined when the text begins with no access point.
 */
export function splitAccessPoint(
  text: string,
): { readonly bucket: string; readonly path: string } | undefined {
  const match = /^(arn:[^/]*:accesspoint[/:][^/]+)(.*)$/s.exec(text);
  const [, bucket = '', path = ''] = match ?? [];
  return ACCESS_POINT.test(bucket) ? { bucket, path } : undefined;
}

export function isAccessPoint(bucket: string): boolean {
  return ACCESS_POINT.test(bucket);
}
