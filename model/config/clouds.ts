/** The sections of the clouds: read, checked, and carried out together with the cloud that each is about. */
import { z } from 'zod';
import { doc } from '../spec/field.ts';
import {
  flag,
  flagOrNumber,
  flagOrTextOrMap,
  free,
  keys,
  named,
  number,
  said,
  section,
  text,
  textMap,
  textOrMap,
  textOrMaps,
  textOrTexts,
  texts,
  whole,
  wholeOrText,
} from './forms.ts';

const network = {
  ...keys(flag, 'use_internal_ips'),
  ...keys(textOrMap, 'ssh_proxy_command'),
};
const reservations = { ...keys(flag, 'prioritize_reservations'), ...keys(texts, 'specific_reservations') };
const pricing = section({ ...keys(number, 'cpu memory'), ...keys(z.record(z.string(), number), 'accelerators') });
const kueue = section({ ...keys(text, 'local_queue_name'), ...keys(whole, 'admission_timeout') });

const pods = {
  ...keys(free, 'pod_config custom_metadata'),
  ...keys(whole, 'provision_timeout max_inline_command_length'),
};

const kubernetesShape = {
  ...pods,
  ...keys(section({ ...keys(textMap, 'label_selector'), ...keys(texts, 'names ips') }), 'allowed_nodes'),
  ...keys(section(keys(text, 'mode resource networks')), 'rdma'),
  ...keys(text, 'networking ports namespace autoscaler'),
  ...keys(section(keys(text, 'storage_class_name')), 'high_availability'),
  ...keys(kueue, 'kueue'),
  ...keys(free, 'quota'),
  ...keys(section({ ...keys(flag, 'enabled'), ...keys(wholeOrText, 'max_run_duration') }), 'dws'),
  ...keys(textOrMap, 'remote_identity'),
  ...keys(texts, 'post_provision_runcmd apt_mirrors'),
  ...keys(flagOrNumber, 'set_pod_resource_limits'),
  ...keys(pricing, 'pricing'),
  ...keys(z.array(free), 'auto_mounts'),
  ...keys(flagOrTextOrMap, 'enable_docker'),
};

const sbatch = { ...keys(free, 'sbatch_options quota') };
const slurmShape = {
  ...sbatch,
  ...keys(flag, 'submit_as_user'),
  ...keys(textMap, 'username_map'),
  ...keys(pricing, 'pricing'),
  ...keys(free, 'gpu_partition_map container_mounts'),
  ...keys(text, 'cpu_partition'),
};
const slurmCluster = section({
  ...slurmShape,
  ...keys(text, 'workdir tmpdir prometheus_url'),
  ...keys(section({ ...keys(text, 'url via'), ...keys(textMap, 'filter') }), 'prometheus'),
  ...keys(named(section({ ...sbatch, ...keys(pricing, 'pricing') })), 'partition_configs'),
});

const CLOUDS = {
  aws: section({
    ...network,
    ...reservations,
    ...said(texts, {
      specific_reservations: 'ids of capacity reservations and blocks that machines are made in where they have room',
    }),
    ...said(flag, {
      use_internal_ips: 'no public addresses: this machine reaches the private ones',
      disk_encrypted: 'encrypt disks',
    }),
    ...said(text, {
      vpc_name: "`Name` tag of the VPC in place of the region's default one",
      ssh_user: "login user of images that have another than Ubuntu's",
    }),
    ...said(textOrMap, {
      ssh_proxy_command:
        'command whose input and output lead to a machine, such as `ssh -W %h:%p jump`; or a map of regions to commands, the only regions then',
    }),
    ...keys(flag, 'use_ssm'),
    ...keys(textOrMaps, 'security_group_name'),
    ...said(textOrMaps, {
      remote_identity: 'instance profile of machines; or a list of maps of patterns of cluster names to profiles',
    }),
    ...keys(textOrTexts, 'vpc_names subnet_names'),
    ...keys(z.array(z.unknown()), 'post_provision_runcmd'),
    ...keys(texts, 'enforce_tags capabilities'),
    ...said(textMap, { labels: 'tags of everything that is made; labels of a task go over them' }),
  }),
  gcp: section({
    ...network,
    ...reservations,
    ...keys(section(keys(whole, 'run_duration provision_timeout')), 'managed_instance_group'),
    ...keys(flag, 'force_enable_external_ips enable_gvnic enable_gpu_direct'),
    ...keys(text, 'placement_policy vpc_name remote_identity'),
    ...keys(textOrTexts, 'subnet_names'),
    ...keys(texts, 'capabilities'),
    ...keys(textMap, 'labels'),
  }),
  azure: section({
    ...network,
    ...keys(text, 'storage_account resource_group_vm vpc_name'),
    ...keys(textMap, 'labels'),
    ...keys(texts, 'capabilities'),
    ...keys(textOrMaps, 'remote_identity'),
  }),
  kubernetes: section({
    ...kubernetesShape,
    ...keys(textOrTexts, 'allowed_contexts'),
    ...keys(named(section(kubernetesShape)), 'context_configs'),
  }),
  ssh: section({
    ...pods,
    ...keys(texts, 'allowed_node_pools'),
    ...keys(named(section(pods)), 'context_configs'),
    ...keys(text, 'remote_identity'),
  }),
  slurm: section({
    ...slurmShape,
    ...keys(textOrTexts, 'allowed_clusters'),
    ...keys(whole, 'provision_timeout'),
    ...keys(section(keys(text, 'url via')), 'prometheus'),
    ...keys(named(slurmCluster), 'cluster_configs'),
    ...keys(text, 'remote_identity'),
  }),
  oci: section({
    ...keys(
      named(section(keys(text, 'compartment_ocid image_tag_general image_tag_gpu vcn_ocid vcn_subnet'))),
      'region_configs',
    ),
    ...keys(text, 'remote_identity'),
  }),
  vast: section({
    ...keys(flag, 'datacenter_only'),
    ...keys(free, 'create_instance_kwargs'),
    ...keys(text, 'remote_identity'),
  }),
  nebius: section({
    ...network,
    ...keys(flag, 'use_static_ip_address disk_encrypted use_personal_pricing'),
    ...keys(text, 'tenant_id domain remote_identity'),
    ...keys(textOrMaps, 'security_group_name'),
    ...keys(
      named(
        section({
          ...keys(text, 'project_id subnet_id fabric'),
          ...keys(flag, 'disk_encrypted'),
          ...keys(z.array(free), 'filesystems'),
        }),
      ),
      'region_configs',
    ),
  }),
} as const;

const NAMES = {
  aws: 'AWS',
  gcp: 'GCP',
  azure: 'Azure',
  kubernetes: 'Kubernetes',
  ssh: 'SSH node pools',
  slurm: 'Slurm',
  oci: 'OCI',
  vast: 'Vast',
  nebius: 'Nebius',
} as const satisfies Record<keyof typeof CLOUDS, string>;

/** One key a cloud. */
export const cloudSections = Object.fromEntries(
  Object.entries(CLOUDS).map(([name, form]) => [name, doc(form, NAMES[name as keyof typeof CLOUDS])]),
);
