"""Wrong command lines end in one sentence and exit code 2. No file is written, and torch is not imported."""

import shlex

import pytest

from segment.__main__ import main

# Command line: part of the message.
WRONG = {
    # commands
    "trian": "there is no command trian; did you mean train?",
    "fit": "there is no command fit; there are prepare, doctor, plan, train",
    "Train": "there is no command Train; did you mean train?",
    "--epochs 5": "there is no command --epochs; there are",
    # keys without their prefix
    "train max_epochs=3": "there is no option max_epochs; did you mean trainer.max_epochs=3?",
    "train lr=1e-3": "there is no option lr; did you mean optimizer.lr=1e-3?",
    "train model.optimiser.lr=1e-3": "there is no option model.optimiser.lr; did you mean optimizer.lr=1e-3?",
    "train batch_size=4": "there is no option batch_size; did you mean data.batch_size=4?",
    "train patch_size=[64,64,64]": "did you mean data.patch_size=[64,64,64]?",
    "train base_channels=8": "did you mean model.net.base_channels=8?",
    "train patience=3": "did you mean callbacks.early_stopping.patience=3?",
    "train fold=0": "did you mean split.fold=0?",
    "train num_workers=0": "did you mean data.num_workers=0?",
    "train devices=2": "did you mean trainer.devices=2?",
    "train folds=3": "did you mean split.folds=3?",
    "train weight_decay=0": "did you mean optimizer.weight_decay=0?",
    "train data.split.folds=3": "did you mean split.folds=3?",
    # misspelt keys
    "train trainer.max_epoch=3": "there is no option trainer.max_epoch; did you mean trainer.max_epochs=3?",
    "train trainr.max_epochs=3": "there is no option trainr.max_epochs; did you mean trainer.max_epochs=3?",
    "train data.batchsize=4": "did you mean data.batch_size=4?",
    "train Seed=3": "did you mean seed=3?",
    "train init_form=a.ckpt": "did you mean init_from=a.ckpt?",
    "train resum=true": "did you mean resume=true?",
    "train preflght=only": "did you mean preflight=only?",
    "predict ckpt=a inputs=b output=c": "there is no option inputs; did you mean input=b?",
    "predict ckpt=a input=b ouput=c": "there is no option ouput; did you mean output=c?",
    "predict checkpoint=a input=b output=c": "there is no option checkpoint; `segment predict --help` lists them",
    "evaluate ckpt=a include_train=yes": "did you mean include_trained=yes?",
    "doctor strct=true": "did you mean strict=true?",
    "prepare accept_license=true": "did you mean accept_licence=true?",
    "sweep trial=3": "there is no option trial; did you mean trials=3?",
    "compare metric=[dice]": "there is no option metric; did you mean metrics=[dice]?",
    "view x data=flare22": "for a data set, segment doctor data=flare22 writes the page",
    "merge run=x": "there is no option run; did you mean runs=x?",
    "train gpus=1": "there is no option gpus; `segment train --help` lists them",
    # with a plus, which Hydra would take
    "train +max_epochs=3": "there is no option max_epochs; did you mean trainer.max_epochs?",
    "train ++max_epochs=3": "there is no option max_epochs; did you mean trainer.max_epochs?",
    "train +trainer.max_epoch=3": "there is no option trainer.max_epoch; did you mean trainer.max_epochs?",
    "train +optimizer.lrr=3": "there is no option optimizer.lrr; did you mean optimizer.lr?",
    "train +model.net.depth=3": "there is no option model.net.depth; model.net takes ",
    "predict +outptu=3 ckpt=a input=b output=c": "there is no option outptu; did you mean output?",
    "evaluate ckpt=a +data.exlude=[x]": "there is no option data.exlude; did you mean data.exclude?",
    # keys that must be added with +
    "train trainer.limit_train_batches=2": "is not set in conf/; to add it, write +trainer.limit_train_batches=2",
    "train tolerance_mm.pancreas=3": "is not set in conf/; to add it, write +tolerance_mm.pancreas=3",
    "compare data.sources.flare22.root=x": "there is no option data.sources.flare22.root; `segment compare --help`",
    "train data.sources.flare22.root=x": "belongs to the data set flare22, which is not chosen; add data=flare22",
    # removed
    "train ~seed": "seed is missing, but `segment train` needs it; do not remove it",
    "train ~callbacks.progres": "there is no option callbacks.progres; did you mean ~callbacks.progress?",
    "train ~nothing": "there is no option nothing",
    # choices of groups
    "train experiment=quik": "there is no experiment=quik; did you mean quick? The choices are abdomen, finetune",
    "train model/net=unett": "there is no model/net=unett; did you mean unet? The choices are dynunet, segresnet, unet",
    "train modle/net=unet": "there is no option modle/net; did you mean model/net=unet?",
    "train net=unet": "there is no option net; did you mean model/net=unet?",
    "train experimnt=quick": "there is no option experimnt; did you mean experiment=quick?",
    "train data=flare": "there is no data=flare; did you mean flare22? The choices are abdomenct1k",
    "train data=[phantom,lidcc]": "there is no data=lidcc; did you mean lidc? The choices are",
    "train experiment=null": "experiment takes the name of a choice, not null: one of abdomen, finetune, overfit",
    "train augment=null": "augment takes the name of a choice, not null: one of contrast, light, nnunet, none, strong",
    "train logger=null": "logger takes the name of a choice, not null: one of csv, none, tensorboard, wandb",
    "train callbacks=null": "callbacks takes the name of a choice, not null: one of compact_weights, default",
    "train trainer=tpu": "there is no trainer=tpu; choose one of cpu, ddp, gpu",
    "sweep sweep=quik": "there is no sweep=quik; did you mean quick?",
    # options in the form of other programs
    "train --epochs 5": "options are written key=value: instead of --epochs 5 write trainer.max_epochs=5",
    "train --max-epochs=5": "instead of --max-epochs 5 write trainer.max_epochs=5",
    "train --lr 1e-3 seed=1": "instead of --lr 1e-3 write optimizer.lr=1e-3",
    "train --batch-size 4": "instead of --batch-size 4 write data.batch_size=4",
    "train --experiment smoke": "instead of --experiment smoke write experiment=smoke",
    "train --qwerty 4": "there is no option --qwerty 4; options are written key=value, e.g. segment train",
    "train -e 5": "there is no option -e 5; options are written key=value",
    "predict --ckpt best.ckpt": "instead of --ckpt best.ckpt write ckpt=best.ckpt",
    "predict best.ckpt scans masks": "instead of best.ckpt scans masks write ckpt=best.ckpt input=scans output=masks",
    "predict scans masks": "instead of scans masks write input=scans output=masks",
    "evaluate best.ckpt": "instead of best.ckpt write ckpt=best.ckpt",
    "merge outputs/quick": "instead of outputs/quick write runs=outputs/quick",
    "train smoke": "smoke is not of the form key=value; did you mean experiment=smoke?",
    "train qwerty": "qwerty is not of the form key=value; write for example: segment train",
    "train +seed=3": "seed is already set; write seed=3 without the +",
    "train +experiment=smoke": "experiment already has a choice; write experiment=smoke without the +",
    "train ~logger": "logger cannot be removed; choose one of csv, none, tensorboard, wandb",
    "train optimizer._target_=torch.optim.SGD optimizer.momentum=0.9": "write +optimizer.momentum=0.9",
    "train optimizer._target_=torch.optim.LBFGS": "LBFGS does not take weight_decay; remove it with ~",
    "train scheduler=poly scheduler.powr=2": "there is no option scheduler.powr; did you mean scheduler.power=2?",
    "doctor data=folder data.sources.folder.rooot=x": "did you mean data.sources.folder.root=x?",
    "sweep experiment=smoke": "put options of the training runs into overrides=",
    "train --config-name other": "there is no option --config-name other; options are written key=value",
    "train -m 'optimizer.lr=interval(1e-4,1e-2)'": "is a range to search, which only `segment sweep` can do",
    "train task=": "task must be text that is not empty, got ''",
    "train 'class_weights={livr: 2}'": "class_weights names livr, which is not a class; did you mean liver?",
    "train data=folder data.sources.folder.root=x 'data.sources.folder.label_codes={1: liver}'": "the organ first",
    # options and syntax of Hydra
    "train --cfg": "--cfg needs a value: one of job, hydra, all",
    "train --cfg jb": "--cfg takes one of job, hydra, all, got jb; did you mean job?",
    "train seed=1 --config-dir=nothing": "--config-dir=nothing is not a folder",
    "train seed=0,1": "seed=0,1 holds several values; add -m to run once for each, or write seed=[0,1] for a list",
    "train 'task=[a'": "cannot read the override 'task=[a'",
    "train task=a=b": "cannot read the override 'task=a=b'",
    "train 'task=${nothing}'": "task: Interpolation key 'nothing' not found",
    # values of another type
    "train optimizer.lr=fast": "optimizer.lr must be a number of at least 0, got fast",
    "train data.batch_size=2.5": "data.batch_size must be a whole number of at least 1, got 2.5",
    "train data.batch_size=two": "data.batch_size must be a whole number of at least 1, got two",
    "train data.patch_size=64": "data.patch_size must be a list of 3, each a whole number of at least 1, got 64",
    "train data.patch_size=[64,x,64]": "each a whole number of at least 1, got [64,x,64]",
    "train trainer.max_epochs=1e2": "trainer.max_epochs must be a whole number or null, got 1e2",
    "train seed=-1": "seed must be a whole number from 0 to 4294967295, got -1",
    "train spacing_mm=3": "spacing_mm must be a list of 3",
    "train test=maybe": "test must be true or false, got maybe",
    "train preflight=sometimes": "preflight must be true or false or only, got sometimes",
    "train callbacks.progress=off": "callbacks.progress must be keys with values or null, got off",
    "train +trainer.fast_dev_run=maybe": "trainer.fast_dev_run must be a whole number or true or false, got maybe",
    "predict ckpt=a input=b output=c overwrite=nope": "overwrite must be true or false, got nope",
    "predict input=b output=c engine=onxx": "engine must be auto or torch or onnx or openvino, got onxx",
    "export otput=a.onnx": "did you mean output=a.onnx?",
    "predict ckpt=a input=b output=c overwrite=1": "overwrite must be true or false, got 1",
    "evaluate ckpt=a pictures=2": "pictures must be true or false, got 2",
    "prepare cache=lst": "cache must be list or explain or prune or null, got lst",
    "prepare unused_days=long": "unused_days must be a number of at least 0, got long",
    "compare a alpha=5": "alpha must be a number between 0 and 1, got 5",
    "compare a metrics=[dcie]": "metrics must be a list",
    "sweep trials=0": "trials must be a whole number of at least 1 or null, got 0",
    "sweep hours=-1": "hours must be a number above 0 or null, got -1",
    "train -m seed=0,x": "seed must be a whole number from 0 to 4294967295, got x",
    "train -m seed=0,1 optimizer.lr=1e-3,fast": "optimizer.lr must be a number of at least 0, got fast",
    "train -m model/net=unet,vnett": "there is no model/net=vnett; did you mean vnet?",
    # values out of range
    "train data.batch_size=0": "data.batch_size must be a whole number of at least 1, got 0",
    "train data.num_workers=-1": "data.num_workers must be a whole number from 0 to 512, got -1",
    "train data.num_workers=1000": "data.num_workers must be a whole number from 0 to 512, got 1000",
    "train data.patches_per_epoch=0": "data.patches_per_epoch must be a whole number of at least 1 or null, got 0",
    "train data.patch_size=[0,96,96]": "must be a list of 3, each a whole number of at least 1, got [0,96",
    "train data.patch_size=[96,96]": "must be a list of 3, each a whole number of at least 1, got [96,96]",
    "train data.foreground_share=1.5": "data.foreground_share must be a number from 0 to 1, got 1.5",
    "train split.fold=-1": "split.fold must be a whole number of at least 0 or null, got -1",
    "train data.sources.phantom.num_cases=0": "num_cases must be a whole number of at least 1, got 0",
    "train split.val=1": "split.val must be a number between 0 and 1, got 1",
    "train split.test=1": "split.test must be a number from 0 to 1, but not 1, got 1",
    "train trainer.max_epochs=-5": "trainer.max_epochs must be a whole number of at least -1 or null, got -5",
    "train trainer.accumulate_grad_batches=0": "must be a whole number of at least 1, got 0",
    "train +trainer.limit_train_batches=-2": "at least 0 or a number from 0 to 1 or null, got -2",
    "train callbacks.early_stopping.patience=-1": "patience must be a whole number of at least 0, got -1",
    "train optimizer.lr=-1": "optimizer.lr must be a number of at least 0, got -1",
    "train optimizer.weight_decay=-1e-3": "weight_decay must be a number of at least 0, got -1e-3",
    "train model.net.base_channels=0": "model.net.base_channels must be a whole number of at least 1, got 0",
    "train model.net.norm=bach": "model.net.norm must be batch or instance or group or null, got bach",
    "train model.inferer.overlap=-8": "each a whole number of at least 0 or a whole number of at least 0, got -8",
    "train augment=light augment.transforms.spatial.p=2": "spatial.p must be a number from 0 to 1, got 2",
    "train augment=light augment.transforms.noise.deviation=[2,1]": "at least 0 in rising order, got [2,1]",
    "evaluate ckpt=a split=random split.val=0": "split.val must be a number between 0 and 1, got 0",
    "train '++model.preprocess={_target_: segment.preprocess.normalize.WindowHU, window_hu: [9, 1]}'": "rising order",
    "doctor num_workers=-1": "num_workers must be a whole number from 0 to 512, got -1",
    # classes that do not exist
    "train model.net._target_=segment.model.vnet.VNett": "has no VNett; did you mean segment.model.vnet.VNet?",
    "train model.net._target_=segment.model.net.VNet": "segment.model has no net; correct the name",
    "train model.net._target_=monai.networks.nets.UNett": "monai.networks.nets has no UNett; did you mean",
    "train model.net._target_=segment.model.vnet": "segment.model.vnet is a module; name a class or function in it",
    "train model.net._target_=no_such_package.Net": "there is no package no_such_package; correct the name, or install",
    "train optimizer._target_=torch.optim.AdamWW": "torch.optim has no AdamWW; did you mean torch.optim.AdamW?",
    "train model.net._target_=VNet": "model.net._target_=VNet cannot be created: there is no package VNet",
    # values that contradict each other
    "train monitor=val/dice/pancreas": "monitor=val/dice/pancreas is not a validation score",
    "train monitor=val/loss": "monitor_mode=max would keep the worst epoch by monitor=val/loss; set monitor_mode=min",
    "train monitor_mode=min": "monitor_mode=min would keep the worst epoch by monitor=val/dice/mean; set",
    "train organs=[liver,Spleen]": "no chosen data set annotates an organ 'Spleen'; did you mean spleen?",
    "train organs=[liver,liver]": "organs names liver twice",
    "train organs=[]": "organs=[] is empty; name the organs",
    "train organs=[liver,femur]": "tolerance_mm has no value for femur; add it in mm, e.g. +tolerance_mm.femur=3",
    # missing values
    "predict ckpt=a": "no value for input, output; give it, e.g. input=…",
    "evaluate": "no value for ckpt; give it, e.g. ckpt=…",
    "merge": "no value for runs; give it, e.g. runs=…",
    "train data=folder": "no value for ",
}


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


@pytest.mark.parametrize("line", WRONG)
def test_wrong_words_end_in_one_sentence(line, tmp_path, monkeypatch, invoke):
    # Running a command imports torch.
    monkeypatch.setattr("runpy.run_module", lambda *_, **__: pytest.fail("the command was started"))
    code, out, err = invoke(main, *shlex.split(line))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert WRONG[line] in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# Unusual but valid command lines.
RIGHT = [
    "train -m 'model/net=glob(unet*)'",
    "train -m 'model/net=glob(*,exclude=[vnet*,dynunet,segresnet])' seed=range(2)",
    "train 'logger.wandb.name=${hydra:job.override_dirname}'",
    "train 'task=${hydra:runtime.choices.experiment}'",
    "predict ckpt=a input=b 'output=masks_${hydra:job.num}'",
    "train '+trainer.strategy={_target_: pytorch_lightning.strategies.DDPStrategy, find_unused_parameters: true}'",
    "train '+trainer.strategy={_target_: pytorch_lightning.strategies.DDPStrategy,"
    " timeout: {_target_: datetime.timedelta, seconds: 1800}}'",
    "train '+logger.mine={_target_: pytorch_lightning.loggers.WandbLogger, entity: x}'",
    "train '+callbacks.x={_target_: pytorch_lightning.callbacks.GradientAccumulationScheduler, scheduling: {4: 2}}'",
    "train '+callbacks.x={_target_: functools.partial, anything: 3}'",
    "train 'data.batch_size=${oc.env:NO_SUCH_VARIABLE,4}' 'test=${oc.env:NO_SUCH_VARIABLE,no}'",
    "train 'trainer.precision=bf16-mixed' trainer.max_time=00:08:00:00 trainer.deterministic=warn",
    "train ~model.net '+model.net={_target_: monai.networks.nets.AttentionUnet, _partial_: true, spatial_dims: 3}'",
    "train optimizer._target_=torch.optim.SGD +optimizer.momentum=0.9",
    "train --cfg job seed=3",
    "train seed=3 -m 'split.fold=range(5)' test=no",
    "compare outputs/a 'wandb:e/p/i' alpha=0.1",
    "evaluate ckpt=[a,b] +data.exclude=[x] split=random split.test=0.3",
    "sweep trials=3 hours=null 'overrides=[\"experiment=smoke\"]'",
    "doctor data=tree data.sources.tree.root=x strict=yes",
    "predict ckpt=1e3 'input=[007,a b]' output=off",
]


@pytest.mark.parametrize("line", RIGHT)
def test_right_words_start_the_command(line, monkeypatch, invoke):
    started = []
    monkeypatch.setattr("runpy.run_module", lambda name, **_: started.append(name))
    code, out, err = invoke(main, *shlex.split(line))
    assert code == 0, err
    if "--cfg" in line:
        assert "seed: 3" in out
    else:
        assert started == [f"segment.commands.{line.split()[0]}"]
