/**
 * Which instance types come into question when a task names neither a type nor accelerators. Without this the cheapest ones would be
 * burstable, of a generation long ago, or of an architecture that images are not built for.
 */
import type { Arch } from './request.ts';

/** The families that SkyPilot 0.14.1 takes (sky/catalog/<cloud>_catalog.py), which are all x86, and those of arm64 beside them. */
const FAMILIES: Readonly<Record<string, Readonly<Record<Arch, RegExp>>>> = {
  aws: { x86_64: /^(?:[mrc]6id?|[mrc]7i)\./, arm64: /^[mrc][678]gd?\./ },
  gcp: { x86_64: /^n[24]-(?:standard|highmem|highcpu)-/, arm64: /^(?:c4a|t2a)-/ },
  azure: { x86_64: /^Standard_(?:[DE]\d+s_v5|F\d+s_v2)(?:_Promo)?$/, arm64: /^Standard_[DE]\d+p[a-z]*_v\d+$/ },
  oci: { x86_64: /^VM\.Standard(?:\.E|3)/, arm64: /^VM\.Standard\.A/ },
  ibm: { x86_64: /^bx2-/, arm64: /^$/ },
};

/** vCPUs that are asked for when neither vCPUs nor memory are. */
export const DEFAULT_CPUS = 8;
/** GiB for each vCPU that are asked for, as the least, when no memory is. */
export const DEFAULT_MEMORY_RATIO = 4;

/** True for all types of a cloud whose families are not known. */
export function isGeneralPurpose(cloud: string, instanceType: string, arch: Arch): boolean {
  return FAMILIES[cloud]?.[arch].test(instanceType) ?? true;
}
