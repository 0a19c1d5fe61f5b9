"""The grammar as pydantic compiled it. `make grammar` writes this file; nobody edits it."""

# fmt: off
from typing import Any

VERSION = '2.50.5'
SCHEMAS: dict[str, Any] = {
 'siteward.declaration.document.Document': {
  'type': 'definitions',
  'schema': {
   'type': 'typed-dict',
   'fields': {
    'sites': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'typed-dict',
       'fields': {
        'domain': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
        'name': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'tags': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str'}},
         'required': False,
        },
        'on': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         },
         'required': False,
        },
        'only': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'public': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'bool'}, '0'),
           (
            {
             'type': 'dict',
             'keys_schema': {'type': 'str', 'min_length': 1},
             'values_schema': {'type': 'bool'},
            },
            '1',
           ),
          ],
         },
         'required': False,
        },
        'owner': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
       },
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.SiteRow',
      },
     },
     'required': False,
    },
    'users': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'typed-dict',
       'fields': {
        'id': {
         'type': 'typed-dict-field',
         'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         'required': False,
        },
        'email': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'name': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'kind': {
         'type': 'typed-dict-field',
         'schema': {'type': 'literal', 'expected': ['person', 'service', 'contractor', 'client', 'vendor']},
         'required': False,
        },
        'tags': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}},
         'required': False,
        },
        'logins': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         },
         'required': False,
        },
        'ids': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         },
         'required': False,
        },
        'managed_by': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'literal', 'expected': ['directory', 'sso']}, '0'),
           (
            {
             'type': 'dict',
             'keys_schema': {'type': 'str', 'min_length': 1},
             'values_schema': {'type': 'literal', 'expected': ['directory', 'sso']},
            },
            '1',
           ),
          ],
         },
         'required': False,
        },
        'state': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'literal', 'expected': ['active', 'suspended', 'absent', 'alumni']}, '0'),
           (
            {
             'type': 'dict',
             'keys_schema': {'type': 'str', 'min_length': 1},
             'values_schema': {'type': 'literal', 'expected': ['active', 'suspended', 'absent']},
            },
            '1',
           ),
          ],
         },
         'required': False,
        },
        'from': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'until': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'accounts': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'previously': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'modules': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {
           'type': 'union',
           'choices': [
            ({'type': 'str', 'min_length': 1}, '0'),
            ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
           ],
          },
         },
         'required': False,
        },
        'language': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'owner': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'ticket': {
         'type': 'typed-dict-field',
         'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         'required': False,
        },
        'reason': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'keys': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'list',
          'items_schema': {
           'type': 'typed-dict',
           'fields': {
            'name': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
            'on': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
            'holds': {
             'type': 'typed-dict-field',
             'schema': {'type': 'literal', 'expected': ['view', 'edit', 'manage', 'admin']},
             'required': False,
            },
            'rotates': {
             'type': 'typed-dict-field',
             'schema': {
              'type': 'str',
              'pattern': '^[1-9][0-9]{0,3}d$(?!\\n)',
              'metadata': {'hint': 'write it in days, such as 90d'},
              'regex_engine': 'python-re',
             },
             'required': False,
            },
            'since': {
             'type': 'typed-dict-field',
             'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
             'required': False,
            },
            'used_by': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
           },
           'computed_fields': [],
           'extra_behavior': 'forbid',
           'ref': 'siteward.declaration.document.KeyRow',
          },
         },
         'required': False,
        },
        'also': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}},
         'required': False,
        },
        'attests': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         },
         'required': False,
        },
        'age': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'forge': {
         'type': 'typed-dict-field',
         'schema': {'type': 'dict', 'keys_schema': {'type': 'str', 'min_length': 1}, 'values_schema': {'type': 'str'}},
         'required': False,
        },
       },
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.UserRow',
      },
     },
     'required': False,
    },
    'groups': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'union',
       'choices': [
        ({'type': 'str'}, '0'),
        (
         {
          'type': 'list',
          'items_schema': {
           'type': 'union',
           'choices': [
            ({'type': 'str'}, '0'),
            ({'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.MemberRow'}, '1'),
           ],
          },
         },
         '1',
        ),
        (
         {
          'type': 'typed-dict',
          'fields': {
           'members': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str'}, '0'),
              (
               {
                'type': 'list',
                'items_schema': {
                 'type': 'union',
                 'choices': [
                  ({'type': 'str'}, '0'),
                  ({'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.MemberRow'}, '1'),
                 ],
                },
               },
               '1',
              ),
             ],
            },
            'required': False,
           },
           'from': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.FromRow'}, '0'),
              (
               {
                'type': 'list',
                'items_schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.FromRow'},
               },
               '1',
              ),
             ],
            },
            'required': False,
           },
           'native': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
           'owner': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
           'description': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
           'ticket': {
            'type': 'typed-dict-field',
            'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
            'required': False,
           },
           'previously': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.GroupRow',
         },
         '2',
        ),
       ],
      },
     },
     'required': False,
    },
    'grants': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'list',
      'items_schema': {
       'type': 'typed-dict',
       'fields': {
        'to': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': True,
        },
        'role': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
        'sites': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'metasites': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'on': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'from': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'until': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'extras': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str'}},
         'required': False,
        },
        'ticket': {
         'type': 'typed-dict-field',
         'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         'required': False,
        },
        'reason': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
       },
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.GrantRow',
      },
     },
     'required': False,
    },
    'version': {
     'type': 'typed-dict-field',
     'schema': {'type': 'chain', 'steps': [{'type': 'int'}, {'type': 'literal', 'expected': [1]}]},
     'required': True,
    },
    'instances': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'typed-dict',
       'fields': {
        'platform': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
        'url': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
        'self': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
        'mode': {
         'type': 'typed-dict-field',
         'schema': {'type': 'literal', 'expected': ['full', 'add-only', 'observe']},
         'required': False,
        },
        'manages': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'unmanaged': {
         'type': 'typed-dict-field',
         'schema': {'type': 'literal', 'expected': ['report', 'revoke', 'remove']},
         'required': False,
        },
        'ignore': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'policy': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'typed-dict',
          'fields': {
           'admins': {
            'type': 'typed-dict-field',
            'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.AdminsRow'},
            'required': False,
           },
           'managers': {
            'type': 'typed-dict-field',
            'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.ManagersRow'},
            'required': False,
           },
           'limits': {
            'type': 'typed-dict-field',
            'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitsRow'},
            'required': False,
           },
           'wildcards': {
            'type': 'typed-dict-field',
            'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.WildcardsRow'},
            'required': False,
           },
           'protect': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
           'rules': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'list',
             'items_schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.RuleRow'},
            },
            'required': False,
           },
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.InstancePolicyRow',
         },
         'required': False,
        },
        'ca_file': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
        'accept_blind': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'onboarding': {
         'type': 'typed-dict-field',
         'schema': {'type': 'literal', 'expected': ['invite', 'password']},
         'required': False,
        },
        'managed_by': {
         'type': 'typed-dict-field',
         'schema': {'type': 'literal', 'expected': ['directory', 'sso']},
         'required': False,
        },
        'native': {'type': 'typed-dict-field', 'schema': {'type': 'bool'}, 'required': False},
        'public': {'type': 'typed-dict-field', 'schema': {'type': 'bool'}, 'required': False},
       },
       'computed_fields': [],
       'extra_behavior': 'ignore',
       'ref': 'siteward.declaration.document.InstanceRow',
      },
     },
     'required': True,
    },
    'include': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'list',
      'items_schema': {
       'type': 'union',
       'choices': [
        ({'type': 'str'}, '0'),
        (
         {
          'type': 'typed-dict',
          'fields': {
           'path': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
           'sites': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
           'at_most': {
            'type': 'typed-dict-field',
            'schema': {'type': 'literal', 'expected': ['view', 'edit', 'manage', 'admin']},
            'required': False,
           },
           'directory': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.IncludeRow',
         },
         '1',
        ),
       ],
      },
     },
     'required': False,
    },
    'journal': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'typed-dict',
      'fields': {'dir': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False}},
      'computed_fields': [],
      'extra_behavior': 'forbid',
      'ref': 'siteward.declaration.document.JournalRow',
     },
     'required': False,
    },
    'directories': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'typed-dict',
       'fields': {
        'file': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
        'ldap': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'typed-dict',
          'fields': {
           'url': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'str',
             'pattern': '^ldaps?://[^\\s/?#]+/?$(?!\\n)',
             'metadata': {'hint': 'write it as ldaps://ldap.example.org'},
             'regex_engine': 'python-re',
            },
            'required': True,
           },
           'base': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
           'filter': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
           'map': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'typed-dict',
             'fields': {
              'id': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
              'handle': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
              'email': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
              'name': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
             },
             'computed_fields': [],
             'extra_behavior': 'forbid',
             'ref': 'siteward.declaration.document.LdapMapRow',
            },
            'required': False,
           },
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.LdapRow',
         },
         'required': False,
        },
        'shrink': {
         'type': 'typed-dict-field',
         'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
         'required': False,
        },
        'expects': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'typed-dict',
          'fields': {
           'at_least': {
            'type': 'typed-dict-field',
            'schema': {'type': 'int', 'ge': 1, 'le': 1000000000},
            'required': False,
           },
           'people': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.ExpectsRow',
         },
         'required': False,
        },
       },
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.DirectoryRow',
      },
     },
     'required': False,
    },
    'roles': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'dict',
       'keys_schema': {'type': 'str', 'min_length': 1},
       'values_schema': {
        'type': 'union',
        'choices': [
         ({'type': 'str'}, '0'),
         (
          {
           'type': 'typed-dict',
           'fields': {
            'role': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
            'extras': {
             'type': 'typed-dict-field',
             'schema': {'type': 'list', 'items_schema': {'type': 'str'}},
             'required': False,
            },
           },
           'computed_fields': [],
           'extra_behavior': 'forbid',
           'ref': 'siteward.declaration.document.RoleRow',
          },
          '1',
         ),
        ],
       },
      },
     },
     'required': False,
    },
    'policy': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'typed-dict',
      'fields': {
       'admins': {
        'type': 'typed-dict-field',
        'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.AdminsRow'},
        'required': False,
       },
       'managers': {
        'type': 'typed-dict-field',
        'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.ManagersRow'},
        'required': False,
       },
       'limits': {
        'type': 'typed-dict-field',
        'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitsRow'},
        'required': False,
       },
       'wildcards': {
        'type': 'typed-dict-field',
        'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.WildcardsRow'},
        'required': False,
       },
       'protect': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'union',
         'choices': [
          ({'type': 'str', 'min_length': 1}, '0'),
          ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
         ],
        },
        'required': False,
       },
       'rules': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'list',
         'items_schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.RuleRow'},
        },
        'required': False,
       },
       'timezone': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
       'reviews': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'typed-dict',
         'fields': {
          'admins': {
           'type': 'typed-dict-field',
           'schema': {
            'type': 'str',
            'pattern': '^[1-9][0-9]{0,3}d$(?!\\n)',
            'metadata': {'hint': 'write it in days, such as 90d'},
            'regex_engine': 'python-re',
           },
           'required': False,
          },
          'services': {
           'type': 'typed-dict-field',
           'schema': {
            'type': 'str',
            'pattern': '^[1-9][0-9]{0,3}d$(?!\\n)',
            'metadata': {'hint': 'write it in days, such as 90d'},
            'regex_engine': 'python-re',
           },
           'required': False,
          },
          'everybody': {
           'type': 'typed-dict-field',
           'schema': {
            'type': 'str',
            'pattern': '^[1-9][0-9]{0,3}d$(?!\\n)',
            'metadata': {'hint': 'write it in days, such as 90d'},
            'regex_engine': 'python-re',
           },
           'required': False,
          },
         },
         'computed_fields': [],
         'extra_behavior': 'forbid',
         'ref': 'siteward.declaration.document.ReviewsRow',
        },
        'required': False,
       },
       'waivers': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'list',
         'items_schema': {
          'type': 'typed-dict',
          'fields': {
           'rule': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
           'on': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
           'about': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
           'reason': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
           'until': {
            'type': 'typed-dict-field',
            'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
            'required': True,
           },
           'seen': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'str',
             'pattern': '^[0-9a-f]{16}$(?!\\n)',
             'metadata': {'hint': 'write the 16 digits that `siteward plan -v` shows'},
             'regex_engine': 'python-re',
            },
            'required': True,
           },
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.WaiverRow',
         },
        },
        'required': False,
       },
      },
      'computed_fields': [],
      'extra_behavior': 'forbid',
      'ref': 'siteward.declaration.document.PolicyRow',
     },
     'required': False,
    },
   },
   'computed_fields': [],
   'extra_behavior': 'forbid',
   'ref': 'siteward.declaration.document.Document',
  },
  'definitions': [
   {
    'type': 'typed-dict',
    'fields': {
     'user': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
     'from': {
      'type': 'typed-dict-field',
      'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
      'required': False,
     },
     'until': {
      'type': 'typed-dict-field',
      'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
      'required': False,
     },
     'ticket': {
      'type': 'typed-dict-field',
      'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
      'required': False,
     },
     'reason': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.MemberRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'all': {
      'type': 'typed-dict-field',
      'schema': {'type': 'literal', 'expected': ['people', 'members']},
      'required': False,
     },
     'kind': {
      'type': 'typed-dict-field',
      'schema': {'type': 'literal', 'expected': ['person', 'service', 'contractor', 'client', 'vendor']},
      'required': False,
     },
     'tag': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
     'directory': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
     'group': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.FromRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'min': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 1, 'le': 1000000000}, 'required': False},
     'max': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 1, 'le': 1000000000}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.AdminsRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'min': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 1, 'le': 1000000000}, 'required': True},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.ManagersRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'removals': {
      'type': 'typed-dict-field',
      'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
      'required': False,
     },
     'revocations': {
      'type': 'typed-dict-field',
      'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
      'required': False,
     },
     'escalations': {
      'type': 'typed-dict-field',
      'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
      'required': False,
     },
     'expiries': {
      'type': 'typed-dict-field',
      'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
      'required': False,
     },
     'mails': {
      'type': 'typed-dict-field',
      'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
      'required': False,
     },
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.LimitsRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'count': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 0, 'le': 1000000000}, 'required': False},
     'percent': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 0, 'le': 100}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.LimitRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'at_most': {
      'type': 'typed-dict-field',
      'schema': {'type': 'literal', 'expected': ['view', 'edit', 'manage', 'admin']},
      'required': True,
     },
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.WildcardsRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'id': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
     'match': {
      'type': 'typed-dict-field',
      'schema': {
       'type': 'dict',
       'keys_schema': {'type': 'literal', 'expected': ['kind', 'power', 'user', 'account', 'site', 'scope', 'role']},
       'values_schema': {'type': 'str', 'min_length': 1},
      },
      'required': True,
     },
     'require': {
      'type': 'typed-dict-field',
      'schema': {'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}},
      'required': False,
     },
     'at_most': {
      'type': 'typed-dict-field',
      'schema': {'type': 'literal', 'expected': ['view', 'edit', 'manage', 'admin']},
      'required': False,
     },
     'at_most_for': {
      'type': 'typed-dict-field',
      'schema': {
       'type': 'str',
       'pattern': '^[1-9][0-9]{0,3}d$(?!\\n)',
       'metadata': {'hint': 'write it in days, such as 90d'},
       'regex_engine': 'python-re',
      },
      'required': False,
     },
     'not_with': {
      'type': 'typed-dict-field',
      'schema': {
       'type': 'typed-dict',
       'fields': {'group': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True}},
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.NotWithRow',
      },
      'required': False,
     },
     'login': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.RuleRow',
   },
  ],
 },
 'siteward.declaration.document.Included': {
  'type': 'definitions',
  'schema': {
   'type': 'typed-dict',
   'fields': {
    'sites': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'typed-dict',
       'fields': {
        'domain': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
        'name': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'tags': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str'}},
         'required': False,
        },
        'on': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         },
         'required': False,
        },
        'only': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'public': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'bool'}, '0'),
           (
            {
             'type': 'dict',
             'keys_schema': {'type': 'str', 'min_length': 1},
             'values_schema': {'type': 'bool'},
            },
            '1',
           ),
          ],
         },
         'required': False,
        },
        'owner': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
       },
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.SiteRow',
      },
     },
     'required': False,
    },
    'users': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'typed-dict',
       'fields': {
        'id': {
         'type': 'typed-dict-field',
         'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         'required': False,
        },
        'email': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'name': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'kind': {
         'type': 'typed-dict-field',
         'schema': {'type': 'literal', 'expected': ['person', 'service', 'contractor', 'client', 'vendor']},
         'required': False,
        },
        'tags': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}},
         'required': False,
        },
        'logins': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         },
         'required': False,
        },
        'ids': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         },
         'required': False,
        },
        'managed_by': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'literal', 'expected': ['directory', 'sso']}, '0'),
           (
            {
             'type': 'dict',
             'keys_schema': {'type': 'str', 'min_length': 1},
             'values_schema': {'type': 'literal', 'expected': ['directory', 'sso']},
            },
            '1',
           ),
          ],
         },
         'required': False,
        },
        'state': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'literal', 'expected': ['active', 'suspended', 'absent', 'alumni']}, '0'),
           (
            {
             'type': 'dict',
             'keys_schema': {'type': 'str', 'min_length': 1},
             'values_schema': {'type': 'literal', 'expected': ['active', 'suspended', 'absent']},
            },
            '1',
           ),
          ],
         },
         'required': False,
        },
        'from': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'until': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'accounts': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'previously': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'modules': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {
           'type': 'union',
           'choices': [
            ({'type': 'str', 'min_length': 1}, '0'),
            ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
           ],
          },
         },
         'required': False,
        },
        'language': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'owner': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'ticket': {
         'type': 'typed-dict-field',
         'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         'required': False,
        },
        'reason': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'keys': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'list',
          'items_schema': {
           'type': 'typed-dict',
           'fields': {
            'name': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
            'on': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
            'holds': {
             'type': 'typed-dict-field',
             'schema': {'type': 'literal', 'expected': ['view', 'edit', 'manage', 'admin']},
             'required': False,
            },
            'rotates': {
             'type': 'typed-dict-field',
             'schema': {
              'type': 'str',
              'pattern': '^[1-9][0-9]{0,3}d$(?!\\n)',
              'metadata': {'hint': 'write it in days, such as 90d'},
              'regex_engine': 'python-re',
             },
             'required': False,
            },
            'since': {
             'type': 'typed-dict-field',
             'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
             'required': False,
            },
            'used_by': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
           },
           'computed_fields': [],
           'extra_behavior': 'forbid',
           'ref': 'siteward.declaration.document.KeyRow',
          },
         },
         'required': False,
        },
        'also': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}},
         'required': False,
        },
        'attests': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'dict',
          'keys_schema': {'type': 'str', 'min_length': 1},
          'values_schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         },
         'required': False,
        },
        'age': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
        'forge': {
         'type': 'typed-dict-field',
         'schema': {'type': 'dict', 'keys_schema': {'type': 'str', 'min_length': 1}, 'values_schema': {'type': 'str'}},
         'required': False,
        },
       },
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.UserRow',
      },
     },
     'required': False,
    },
    'groups': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'dict',
      'keys_schema': {'type': 'str', 'min_length': 1},
      'values_schema': {
       'type': 'union',
       'choices': [
        ({'type': 'str'}, '0'),
        (
         {
          'type': 'list',
          'items_schema': {
           'type': 'union',
           'choices': [
            ({'type': 'str'}, '0'),
            ({'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.MemberRow'}, '1'),
           ],
          },
         },
         '1',
        ),
        (
         {
          'type': 'typed-dict',
          'fields': {
           'members': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str'}, '0'),
              (
               {
                'type': 'list',
                'items_schema': {
                 'type': 'union',
                 'choices': [
                  ({'type': 'str'}, '0'),
                  ({'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.MemberRow'}, '1'),
                 ],
                },
               },
               '1',
              ),
             ],
            },
            'required': False,
           },
           'from': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.FromRow'}, '0'),
              (
               {
                'type': 'list',
                'items_schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.FromRow'},
               },
               '1',
              ),
             ],
            },
            'required': False,
           },
           'native': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
           'owner': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
           'description': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
           'ticket': {
            'type': 'typed-dict-field',
            'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
            'required': False,
           },
           'previously': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'union',
             'choices': [
              ({'type': 'str', 'min_length': 1}, '0'),
              ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
             ],
            },
            'required': False,
           },
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.GroupRow',
         },
         '2',
        ),
       ],
      },
     },
     'required': False,
    },
    'grants': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'list',
      'items_schema': {
       'type': 'typed-dict',
       'fields': {
        'to': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': True,
        },
        'role': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
        'sites': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'metasites': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'on': {
         'type': 'typed-dict-field',
         'schema': {
          'type': 'union',
          'choices': [
           ({'type': 'str', 'min_length': 1}, '0'),
           ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
          ],
         },
         'required': False,
        },
        'from': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'until': {
         'type': 'typed-dict-field',
         'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
         'required': False,
        },
        'extras': {
         'type': 'typed-dict-field',
         'schema': {'type': 'list', 'items_schema': {'type': 'str'}},
         'required': False,
        },
        'ticket': {
         'type': 'typed-dict-field',
         'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
         'required': False,
        },
        'reason': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
       },
       'computed_fields': [],
       'extra_behavior': 'forbid',
       'ref': 'siteward.declaration.document.GrantRow',
      },
     },
     'required': False,
    },
   },
   'computed_fields': [],
   'extra_behavior': 'forbid',
   'ref': 'siteward.declaration.document.Included',
  },
  'definitions': [
   {
    'type': 'typed-dict',
    'fields': {
     'user': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
     'from': {
      'type': 'typed-dict-field',
      'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
      'required': False,
     },
     'until': {
      'type': 'typed-dict-field',
      'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
      'required': False,
     },
     'ticket': {
      'type': 'typed-dict-field',
      'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
      'required': False,
     },
     'reason': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.MemberRow',
   },
   {
    'type': 'typed-dict',
    'fields': {
     'all': {
      'type': 'typed-dict-field',
      'schema': {'type': 'literal', 'expected': ['people', 'members']},
      'required': False,
     },
     'kind': {
      'type': 'typed-dict-field',
      'schema': {'type': 'literal', 'expected': ['person', 'service', 'contractor', 'client', 'vendor']},
      'required': False,
     },
     'tag': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
     'directory': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
     'group': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.FromRow',
   },
  ],
 },
 'siteward.declaration.document.DirectoryFile': {
  'type': 'typed-dict',
  'fields': {
   'directory': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
   'users': {
    'type': 'typed-dict-field',
    'schema': {
     'type': 'dict',
     'keys_schema': {'type': 'str', 'min_length': 1},
     'values_schema': {
      'type': 'typed-dict',
      'fields': {
       'id': {
        'type': 'typed-dict-field',
        'schema': {'type': 'union', 'choices': [({'type': 'str', 'min_length': 1}, '0'), ({'type': 'int'}, '1')]},
        'required': True,
       },
       'login': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
       'email': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
       'name': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
       'state': {
        'type': 'typed-dict-field',
        'schema': {'type': 'literal', 'expected': ['suspended']},
        'required': False,
       },
       'until': {
        'type': 'typed-dict-field',
        'schema': {'type': 'str', 'metadata': {'hint': 'write it as 2027-03-31'}},
        'required': False,
       },
      },
      'computed_fields': [],
      'extra_behavior': 'forbid',
      'ref': 'siteward.declaration.document.ListedUserRow',
     },
    },
    'required': False,
   },
   'groups': {
    'type': 'typed-dict-field',
    'schema': {
     'type': 'dict',
     'keys_schema': {'type': 'str', 'min_length': 1},
     'values_schema': {
      'type': 'typed-dict',
      'fields': {
       'members': {
        'type': 'typed-dict-field',
        'schema': {'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}},
        'required': True,
       },
      },
      'computed_fields': [],
      'extra_behavior': 'forbid',
      'ref': 'siteward.declaration.document.ListedGroupRow',
     },
    },
    'required': False,
   },
  },
  'computed_fields': [],
  'extra_behavior': 'forbid',
  'ref': 'siteward.declaration.document.DirectoryFile',
 },
 'siteward.declaration.document.InstanceRow': {
  'type': 'definitions',
  'schema': {
   'type': 'typed-dict',
   'fields': {
    'platform': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
    'url': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
    'self': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
    'mode': {
     'type': 'typed-dict-field',
     'schema': {'type': 'literal', 'expected': ['full', 'add-only', 'observe']},
     'required': False,
    },
    'manages': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'union',
      'choices': [
       ({'type': 'str', 'min_length': 1}, '0'),
       ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
      ],
     },
     'required': False,
    },
    'unmanaged': {
     'type': 'typed-dict-field',
     'schema': {'type': 'literal', 'expected': ['report', 'revoke', 'remove']},
     'required': False,
    },
    'ignore': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'union',
      'choices': [
       ({'type': 'str', 'min_length': 1}, '0'),
       ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
      ],
     },
     'required': False,
    },
    'policy': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'typed-dict',
      'fields': {
       'admins': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'typed-dict',
         'fields': {
          'min': {
           'type': 'typed-dict-field',
           'schema': {'type': 'int', 'ge': 1, 'le': 1000000000},
           'required': False,
          },
          'max': {
           'type': 'typed-dict-field',
           'schema': {'type': 'int', 'ge': 1, 'le': 1000000000},
           'required': False,
          },
         },
         'computed_fields': [],
         'extra_behavior': 'forbid',
         'ref': 'siteward.declaration.document.AdminsRow',
        },
        'required': False,
       },
       'managers': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'typed-dict',
         'fields': {
          'min': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 1, 'le': 1000000000}, 'required': True},
         },
         'computed_fields': [],
         'extra_behavior': 'forbid',
         'ref': 'siteward.declaration.document.ManagersRow',
        },
        'required': False,
       },
       'limits': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'typed-dict',
         'fields': {
          'removals': {
           'type': 'typed-dict-field',
           'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
           'required': False,
          },
          'revocations': {
           'type': 'typed-dict-field',
           'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
           'required': False,
          },
          'escalations': {
           'type': 'typed-dict-field',
           'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
           'required': False,
          },
          'expiries': {
           'type': 'typed-dict-field',
           'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
           'required': False,
          },
          'mails': {
           'type': 'typed-dict-field',
           'schema': {'type': 'definition-ref', 'schema_ref': 'siteward.declaration.document.LimitRow'},
           'required': False,
          },
         },
         'computed_fields': [],
         'extra_behavior': 'forbid',
         'ref': 'siteward.declaration.document.LimitsRow',
        },
        'required': False,
       },
       'wildcards': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'typed-dict',
         'fields': {
          'at_most': {
           'type': 'typed-dict-field',
           'schema': {'type': 'literal', 'expected': ['view', 'edit', 'manage', 'admin']},
           'required': True,
          },
         },
         'computed_fields': [],
         'extra_behavior': 'forbid',
         'ref': 'siteward.declaration.document.WildcardsRow',
        },
        'required': False,
       },
       'protect': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'union',
         'choices': [
          ({'type': 'str', 'min_length': 1}, '0'),
          ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
         ],
        },
        'required': False,
       },
       'rules': {
        'type': 'typed-dict-field',
        'schema': {
         'type': 'list',
         'items_schema': {
          'type': 'typed-dict',
          'fields': {
           'id': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': True},
           'match': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'dict',
             'keys_schema': {'type': 'literal', 'expected': ['kind', 'power', 'user', 'account', 'site', 'scope', 'role']},
             'values_schema': {'type': 'str', 'min_length': 1},
            },
            'required': True,
           },
           'require': {
            'type': 'typed-dict-field',
            'schema': {'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}},
            'required': False,
           },
           'at_most': {
            'type': 'typed-dict-field',
            'schema': {'type': 'literal', 'expected': ['view', 'edit', 'manage', 'admin']},
            'required': False,
           },
           'at_most_for': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'str',
             'pattern': '^[1-9][0-9]{0,3}d$(?!\\n)',
             'metadata': {'hint': 'write it in days, such as 90d'},
             'regex_engine': 'python-re',
            },
            'required': False,
           },
           'not_with': {
            'type': 'typed-dict-field',
            'schema': {
             'type': 'typed-dict',
             'fields': {
              'group': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
             },
             'computed_fields': [],
             'extra_behavior': 'forbid',
             'ref': 'siteward.declaration.document.NotWithRow',
            },
            'required': False,
           },
           'login': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
          },
          'computed_fields': [],
          'extra_behavior': 'forbid',
          'ref': 'siteward.declaration.document.RuleRow',
         },
        },
        'required': False,
       },
      },
      'computed_fields': [],
      'extra_behavior': 'forbid',
      'ref': 'siteward.declaration.document.InstancePolicyRow',
     },
     'required': False,
    },
    'ca_file': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': False},
    'accept_blind': {
     'type': 'typed-dict-field',
     'schema': {
      'type': 'union',
      'choices': [
       ({'type': 'str', 'min_length': 1}, '0'),
       ({'type': 'list', 'items_schema': {'type': 'str', 'min_length': 1}}, '1'),
      ],
     },
     'required': False,
    },
    'onboarding': {
     'type': 'typed-dict-field',
     'schema': {'type': 'literal', 'expected': ['invite', 'password']},
     'required': False,
    },
    'managed_by': {
     'type': 'typed-dict-field',
     'schema': {'type': 'literal', 'expected': ['directory', 'sso']},
     'required': False,
    },
    'native': {'type': 'typed-dict-field', 'schema': {'type': 'bool'}, 'required': False},
    'public': {'type': 'typed-dict-field', 'schema': {'type': 'bool'}, 'required': False},
   },
   'computed_fields': [],
   'extra_behavior': 'ignore',
   'ref': 'siteward.declaration.document.InstanceRow',
  },
  'definitions': [
   {
    'type': 'typed-dict',
    'fields': {
     'count': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 0, 'le': 1000000000}, 'required': False},
     'percent': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 0, 'le': 100}, 'required': False},
    },
    'computed_fields': [],
    'extra_behavior': 'forbid',
    'ref': 'siteward.declaration.document.LimitRow',
   },
  ],
 },
 'siteward.platforms._template.settings.Settings': {
  'type': 'typed-dict',
  'fields': {},
  'computed_fields': [],
  'extra_behavior': 'forbid',
  'ref': 'siteward.platforms._template.settings.Settings',
 },
 'siteward.platforms.matomo.settings.Settings': {
  'type': 'typed-dict',
  'fields': {
   'self': {'type': 'typed-dict-field', 'schema': {'type': 'str', 'min_length': 1}, 'required': True},
   'onboarding': {
    'type': 'typed-dict-field',
    'schema': {'type': 'literal', 'expected': ['invite', 'password']},
    'required': False,
   },
  },
  'computed_fields': [],
  'extra_behavior': 'forbid',
  'ref': 'siteward.platforms.matomo.settings.Settings',
 },
 'siteward.platforms.piwikpro.settings.Settings': {
  'type': 'typed-dict',
  'fields': {
   'native': {'type': 'typed-dict-field', 'schema': {'type': 'bool'}, 'required': False},
   'sites_by': {
    'type': 'typed-dict-field',
    'schema': {'type': 'literal', 'expected': ['name', 'address']},
    'required': False,
   },
  },
  'computed_fields': [],
  'extra_behavior': 'forbid',
  'ref': 'siteward.platforms.piwikpro.settings.Settings',
 },
 'siteward.platforms.plausible.settings.Settings': {
  'type': 'typed-dict',
  'fields': {
   'team': {'type': 'typed-dict-field', 'schema': {'type': 'str'}, 'required': False},
   'edition': {
    'type': 'typed-dict-field',
    'schema': {'type': 'literal', 'expected': ['auto', 'cloud', 'enterprise', 'ce']},
    'required': False,
   },
   'role_change': {
    'type': 'typed-dict-field',
    'schema': {'type': 'literal', 'expected': ['manual', 'reinvite']},
    'required': False,
   },
   'team_members': {
    'type': 'typed-dict-field',
    'schema': {
     'type': 'dict',
     'keys_schema': {'type': 'str'},
     'values_schema': {'type': 'literal', 'expected': ['owner', 'admin', 'editor', 'billing', 'viewer']},
    },
    'required': False,
   },
   'invitations': {
    'type': 'typed-dict-field',
    'schema': {
     'type': 'typed-dict',
     'fields': {
      'max_sends': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 1}, 'required': False},
      'resend_after': {
       'type': 'typed-dict-field',
       'schema': {
        'type': 'str',
        'pattern': '^[1-9]\\d{0,3}[hd]$',
        'metadata': {'hint': 'write hours or days, such as 72h or 3d'},
        'regex_engine': 'python-re',
       },
       'required': False,
      },
     },
     'computed_fields': [],
     'extra_behavior': 'forbid',
     'ref': 'siteward.platforms.plausible.settings.Invitations',
    },
    'required': False,
   },
   'requests_per_hour': {'type': 'typed-dict-field', 'schema': {'type': 'int', 'ge': 60}, 'required': False},
  },
  'computed_fields': [],
  'extra_behavior': 'forbid',
  'ref': 'siteward.platforms.plausible.settings.Settings',
 },
 'siteward.platforms.umami.settings.Settings': {
  'type': 'typed-dict',
  'fields': {
   'layout': {
    'type': 'typed-dict-field',
    'schema': {'type': 'literal', 'expected': ['per-site', 'existing']},
    'required': True,
   },
  },
  'computed_fields': [],
  'extra_behavior': 'forbid',
  'ref': 'siteward.platforms.umami.settings.Settings',
 },
}
