/** Inputs that were found and must stay harmless: what they did is said beside them. */
import { xxhash32 } from '../../src/kernel/kernel.ts';

export interface Regression {
  readonly target: string;
  readonly what: string;
  /** Base64. */
  readonly input: string;
}

function text(input: string): string {
  return Buffer.from(input, 'utf8').toString('base64');
}

/** A payload whose checksum is right. */
function annotation(json: string): string {
  const bytes = Buffer.concat([Buffer.from('RVLT\u0001', 'latin1'), Buffer.from(json), Buffer.alloc(4)]);
  bytes.writeUInt32LE(xxhash32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes.toString('base64');
}

export const REGRESSIONS: readonly Regression[] = [
  {
    target: 'config/duration',
    what: 'a unit by the name of a property of every object was one',
    input: text('5constructor7s'),
  },
  {
    target: 'config/yaml',
    what: 'an unquoted secret behind a mistake was repeated in the message',
    input: text('& ""\nsecret-access-key: S3CRET-wJalrXUtnFEMI\n'),
  },
  {
    target: 'config/yaml',
    what: 'one mistake made a message as long as the file',
    input: text('"'.repeat(20_000)),
  },
  {
    target: 'config/yaml',
    what: 'thousands of levels were a RangeError of the parser',
    input: text('- '.repeat(5_000)),
  },
  {
    target: 'config/replica-url',
    what: 'a line break was a bucket, and the URL was shown without it',
    input: text('s3://\n/:'),
  },
  {
    target: 'config/replica-url',
    what: 'the name of an account was shown with its control characters',
    input: text('abs://%00@c'),
  },
  {
    target: 'generations/annotation',
    what: 'the name of an unknown field was repeated in the message, however long',
    input: annotation(
      `{"kind":"segment","generation":"00112233445566aa","index":3,"${'x'.repeat(60_000)}":1}`,
    ),
  },
  {
    target: 'generations/lease-record',
    what: 'its version was undefined',
    input: text('{"epoch":1}'),
  },
  {
    target: 'generations/lease-record',
    what: 'a strange version was repeated, however long',
    input: text(`{"version":"${'x'.repeat(60_000)}"}`),
  },
  {
    target: 'credentials/process-output',
    what: 'an empty id was a key',
    input: text('{"Version":1,"AccessKeyId":"","SecretAccessKey":""}'),
  },
  {
    target: 'credentials/pkcs11-uri',
    what: 'a PIN that was written in the wrong place was shown',
    input: text('pkcs11:object=x;pin-value=1234'),
  },
  {
    target: 'storage/gcs-listing',
    what: 'an entry without a name was a TypeError',
    input: text('200\n{"items":[{}]}'),
  },
  {
    target: 'storage/gcs-listing',
    what: 'an entry without size and time was an object of NaN bytes',
    input: text('200\n{"items":[{"name":"path/generations/a"}]}'),
  },
  {
    target: 'storage/gcs-listing',
    what: "a service's own code was repeated, however long",
    input: text(`403\n{"error":{"code":403,"errors":[{"reason":"${'x'.repeat(20_000)}"}]}}`),
  },
  {
    target: 'storage/abs-listing',
    what: "the answer of another service was a TypeError's words",
    input: text('200\n<?xml version="1.0"?><Error><Code></Code></Error>'),
  },
  {
    target: 'storage/abs-listing',
    what: 'a code that was no text was shown as [object Object]',
    input: text('403\n<Error><Code><NextMarker></NextMarker></Code></Error>'),
  },
  {
    target: 'storage/abs-listing',
    what: 'the size of an object was an empty text, and its time none',
    input: text(
      '200\n<EnumerationResults><Blobs><Blob><Name>path/generations/p</Name><Properties><Creation-Time>T</Creation-Time>' +
        '<Last-Modified>T</Last-Modified><Content-Length></Content-Length></Properties></Blob></Blobs></EnumerationResults>',
    ),
  },
  {
    target: 'storage/s3-listing',
    what: 'a key with a broken escape was a URIError',
    input: text(
      '200\n<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>%2</Key>' +
        '<LastModified>2026-01-01T00:00:01.000Z</LastModified><Size>0</Size></Contents></ListBucketResult>',
    ),
  },
  {
    target: 'storage/s3-listing',
    what: "a service's own code was looked up among the properties of every object",
    input: text('403\n<Error><Code>constructor</Code><Message>no</Message></Error>'),
  },
];
