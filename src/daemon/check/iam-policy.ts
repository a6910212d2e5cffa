/** The smallest AWS policy that replication, restore and retention of one replica need. */
import type { S3Destination } from '../../config/settings.ts';

interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: unknown;
}

export interface IamPolicy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

type Place = Pick<S3Destination, 'bucket' | 'path'> & {
  readonly sseKmsKeyId?: string | undefined;
};

/**
 * Actions and resources as the Amazon S3 service authorization reference names them. `s3:ListBucket` also tells a missing
 * object from one that may not be read: by a 404 instead of a 403, or where the service says 403 all the same, by a listing of
 * its key. Nothing is needed to find the region: a request to another one is answered with the name of the right one.
 */
export function iamPolicy({ bucket, path, sseKmsKeyId }: Place): IamPolicy {
  const bucketArn = bucket.startsWith('arn:') ? bucket : `arn:aws:s3:::${bucket}`;
  const objects = bucket.startsWith('arn:') ? `${bucketArn}/object` : bucketArn;
  const prefix = path === '' ? '' : `${path}/`;
  const statements: Statement[] = [
    {
      Sid: 'ListReplica',
      Effect: 'Allow',
      Action: ['s3:ListBucket'],
      Resource: bucketArn,
      ...(prefix === '' ? {} : { Condition: { StringLike: { 's3:prefix': [`${prefix}*`] } } }),
    },
    {
      Sid: 'ReadAndWriteReplica',
      Effect: 'Allow',
      Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
      Resource: `${objects}/${prefix}*`,
    },
  ];
  if (sseKmsKeyId !== undefined) {
    statements.push({
      Sid: 'UseKey',
      Effect: 'Allow',
      Action: ['kms:GenerateDataKey', 'kms:Decrypt'],
      Resource: sseKmsKeyId.startsWith('arn:') ? sseKmsKeyId : '*',
    });
  }
  return { Version: '2012-10-17', Statement: statements };
}
