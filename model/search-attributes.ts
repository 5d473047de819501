/** What workflows can be listed by. Fixed: the stores have ten Keyword columns. Not encrypted by payload codecs. */
export const SEARCH_ATTRIBUTES = {
  StyxKind: 'Keyword',
  StyxName: 'Keyword',
  StyxStatus: 'Keyword',
  StyxWorkspace: 'Keyword',
  StyxUser: 'Keyword',
  /** cloud/region/zone */
  StyxInfra: 'Keyword',
  StyxParent: 'Keyword',
  StyxInstallation: 'Keyword',
  StyxNumber: 'Int',
  StyxPriority: 'Int',
  StyxHourlyCost: 'Double',
  StyxDeadline: 'Datetime',
  StyxLabels: 'KeywordList',
} as const;
