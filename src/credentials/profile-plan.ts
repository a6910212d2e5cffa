import type { AwsKeys } from '../storage/aws-keys.ts';
import type { Profile } from './shared-files.ts';

/** What a profile says to do for keys. `sdk`: what needs a service of AWS, which its own library knows. */
export type ProfilePlan =
  | { readonly kind: 'keys'; readonly keys: AwsKeys }
  | { readonly kind: 'process'; readonly command: string }
  | { readonly kind: 'sdk'; readonly what: string }
  | { readonly kind: 'nothing' };

/** In the order of the AWS libraries: a role before keys before everything else. */
export function planProfile(profile: Profile): ProfilePlan {
  const { aws_access_key_id: id, aws_secret_access_key: secret, aws_session_token: token } = profile;
  const has = (key: string): boolean => (profile[key] ?? '') !== '';
  if (has('role_arn') && (has('source_profile') || has('credential_source')))
    return { kind: 'sdk', what: 'role' };
  if (id !== undefined && secret !== undefined && id !== '' && secret !== '') {
    return {
      kind: 'keys',
      keys: { accessKeyId: id, secretAccessKey: secret, sessionToken: token || undefined },
    };
  }
  if (has('role_arn') && has('web_identity_token_file')) return { kind: 'sdk', what: 'web identity' };
  if (has('credential_process')) return { kind: 'process', command: profile['credential_process'] ?? '' };
  if (has('sso_session') || has('sso_start_url')) return { kind: 'sdk', what: 'SSO' };
  if (has('login_session')) return { kind: 'sdk', what: 'login' };
  return { kind: 'nothing' };
}
