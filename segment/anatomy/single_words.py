"""Words of the names of structures that a mirrored CT shows under the same name: reference data for `sides`.

Such a structure lies in the middle of the body, has no partner on the other side, or is a class of both sides, as
kidney is beside liver and spleen.
"""

import re

_TEXT = """
liver spleen pancreas gallbladder gall stomach duodenum jejunum ileum small large bowel intestine intestines colon
rectum sigmoid oesophagus esophagus bladder urinary prostate uterus kidney kidneys renal adrenal adrenals gland
glands lung lungs heart myocardium pericardium thyroid thymus trachea brain
aorta vena cava postcava ivc svc inferior superior portal splenic hepatic mesenteric coeliac celiac trunk vein veins
pulmonary brachiocephalic artery arteries vessel vessels lymph node nodes
spine spinal cord canal vertebra vertebrae sacrum coccyx sternum costal cartilage cartilages ribs skull bone bones
pelvis muscle muscles fat skin body tissue abdomen abdominal thorax diaphragm mediastinum
tumour tumours tumor tumors lesion lesions cyst cysts cancer metastasis metastases mass stone stones fluid ascites
effusion wall lumen parenchyma cortex and or of the with other others organ organs
leber milz niere nieren magen pankreas foie rate rein reins estomac hepar lien ren higado bazo fegato milza
"""
SINGLE_WORDS = frozenset(_TEXT.split())
# In vertebra_L1, and in L1 alone. In kidney_l1, l may mean left.
VERTEBRA = re.compile(r"[ctls]\d{1,2}")
SPINE = frozenset(["vertebra", "vertebrae", "spine", "spinal", "sacrum"])
